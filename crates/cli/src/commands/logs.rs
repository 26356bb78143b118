//! `sandbar logs`.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::str::FromStr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sandbar_engine::{Engine, Kind, Log, LogChunk};
use sandbar_spec::{ContainerId, ContainerState, Invalid};

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output::Sink;

/// Show what a container has printed
#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    /// Stay and show what it prints, until it ends
    #[arg(short, long)]
    follow: bool,
    /// Only the last so many lines
    #[arg(short = 'n', long, value_name = "N", default_value = "all")]
    tail: Tail,
    /// Show when each line was printed
    #[arg(short, long)]
    timestamps: bool,
    /// The container
    #[arg(value_name = "NAME")]
    name: String,
}

/// How many of the last lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    All,
    Last(usize),
}

impl FromStr for Tail {
    type Err = Invalid;

    fn from_str(text: &str) -> std::result::Result<Self, Invalid> {
        match text {
            "all" => Ok(Self::All),
            _ => text.parse().map(Self::Last).map_err(|_not_a_number| {
                Invalid::new("number of lines", text, "a number or 'all' is needed")
            }),
        }
    }
}

impl Logs {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("show the logs of {}", self.name);
        let engine = context.engine()?;
        let container = engine.container(&self.name).doing(&action)?;
        let mut printer = Printer::new(self.timestamps);
        let mut log = container.log().doing(&action)?;
        if self.follow {
            log.follow().doing(&action)?;
        }
        let mut next = || log.next_chunk().doing(&action);
        match self.tail {
            Tail::All => {
                while let Some(chunk) = next()? {
                    printer.print(&chunk)?;
                }
            }
            Tail::Last(most) => {
                let mut lines = Lines::new(most);
                while let Some(chunk) = next()? {
                    lines.push(chunk);
                }
                lines.into_chunks().try_for_each(|chunk| printer.print(&chunk))?;
            }
        }
        printer.sink.flush()?;
        if self.follow {
            let id = container.config.id;
            Following { engine, id, log, action }.run(&mut printer)?;
        }
        Ok(Exit::SUCCESS)
    }
}

/// Prints chunks, which are lines or parts of lines.
struct Printer {
    sink: Sink,
    timestamps: bool,
}

impl Printer {
    fn new(timestamps: bool) -> Self {
        Self { sink: Sink::new(), timestamps }
    }

    fn print(&mut self, chunk: &LogChunk) -> Result<()> {
        if self.timestamps {
            self.sink.write(chunk.stream, format!("{} ", chunk.time).as_bytes())?;
        }
        self.sink.write(chunk.stream, &chunk.text)?;
        // Two times in one line would be taken for the container's own words.
        if self.timestamps && !chunk.text.ends_with(b"\n") {
            self.sink.write(chunk.stream, b"\n")?;
        }
        Ok(())
    }
}

/// The last so many lines.
struct Lines {
    most: usize,
    lines: VecDeque<Vec<LogChunk>>,
    is_line_open: bool,
}

impl Lines {
    fn new(most: usize) -> Self {
        Self { most, lines: VecDeque::new(), is_line_open: false }
    }

    fn push(&mut self, chunk: LogChunk) {
        let ends_line = chunk.text.ends_with(b"\n");
        match self.lines.back_mut() {
            Some(line) if self.is_line_open => line.push(chunk),
            _ => self.lines.push_back(vec![chunk]),
        }
        self.is_line_open = !ends_line;
        if self.lines.len() > self.most {
            self.lines.pop_front();
        }
    }

    fn into_chunks(self) -> impl Iterator<Item = LogChunk> {
        self.lines.into_iter().flatten()
    }
}

/// How often a container is looked at of which there is no process to wait for.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Showing what is printed until the container has ended.
struct Following {
    engine: Engine,
    id: ContainerId,
    log: Log,
    action: String,
}

impl Following {
    fn run(mut self, printer: &mut Printer) -> Result<()> {
        loop {
            let now = match self.engine.container(self.id.as_str()) {
                Ok(container) => Some(container.status),
                Err(error) if error.kind() == Kind::NotFound => None,
                Err(error) => return Err(error).doing(&self.action),
            };
            match now.as_ref().map(|status| status.state) {
                Some(ContainerState::Running) => {
                    let process = now.and_then(|status| status.pid);
                    self.until_end_of(process, printer)?;
                }
                Some(ContainerState::Created | ContainerState::Restarting) => {
                    self.show(printer)?;
                    self.wait(None, Some(&GLANCE))?;
                }
                // How it ended is written after the last of its output.
                Some(ContainerState::Exited) | None => return self.show(printer),
            }
        }
    }

    /// Shows the log until the process has ended.
    fn until_end_of(&mut self, process: Option<i32>, printer: &mut Printer) -> Result<()> {
        let process = process
            .and_then(Pid::from_raw)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        loop {
            self.show(printer)?;
            let Some(process) = &process else { return self.wait(None, Some(&GLANCE)).map(drop) };
            if self.wait(Some(process), None)? {
                return Ok(());
            }
        }
    }

    fn show(&mut self, printer: &mut Printer) -> Result<()> {
        while let Some(chunk) = self.log.next_chunk().doing(&self.action)? {
            printer.print(&chunk)?;
        }
        printer.sink.flush()
    }

    /// Waits for more of the log, for the end of the process or for the time; true if the process has ended.
    fn wait(&self, process: Option<&OwnedFd>, time: Option<&Timespec>) -> Result<bool> {
        let mut fds = vec![PollFd::from_borrowed_fd(self.log.as_fd(), PollFlags::IN)];
        fds.extend(process.map(|process| PollFd::new(process, PollFlags::IN)));
        // Whoever reads our output may be gone while the container prints nothing.
        fds.push(PollFd::from_borrowed_fd(rustix::stdio::stdout(), PollFlags::empty()));
        rustix::io::retry_on_intr(|| poll(&mut fds, time)).doing("wait for the log")?;
        if fds.last().is_some_and(|out| out.revents().contains(PollFlags::ERR)) {
            return Err(crate::failure::Failure::PipeClosed);
        }
        Ok(process.is_some() && fds.get(1).is_some_and(|fd| !fd.revents().is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbar_engine::StreamName;

    fn chunk(text: &str) -> LogChunk {
        LogChunk { time: "t".into(), stream: StreamName::Stdout, text: text.into() }
    }

    #[test]
    fn the_last_lines_are_whole() {
        let mut lines = Lines::new(2);
        for text in ["one\n", "two, ", "in parts\n", "three\n"] {
            lines.push(chunk(text));
        }
        let texts: Vec<_> = lines.into_chunks().map(|it| it.text).collect();
        assert_eq!(texts, [b"two, ".to_vec(), b"in parts\n".to_vec(), b"three\n".to_vec()]);
    }

    #[test]
    fn no_lines_are_none() {
        let mut lines = Lines::new(0);
        lines.push(chunk("one\n"));
        lines.push(chunk("two"));
        assert_eq!(lines.into_chunks().count(), 0);
    }

    #[test]
    fn tails() {
        assert_eq!("all".parse(), Ok(Tail::All));
        assert_eq!("0".parse(), Ok(Tail::Last(0)));
        for bad in ["", "-1", "x"] {
            assert!(bad.parse::<Tail>().is_err(), "{bad}");
        }
    }
}
