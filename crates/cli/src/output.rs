//! All that is printed goes through here.

use std::fmt::Display;
use std::io::{self, Write};

use sandbar_engine::StreamName;
use serde_json::Value;

use crate::failure::{Failure, Result, one_line};

/// Prints a line.
pub(crate) fn line(text: impl Display) -> Result<()> {
    writeln!(io::stdout().lock(), "{text}").map_err(Failure::of_output)
}

/// Prints text that has its line ends.
pub(crate) fn text(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::of_output)
}

/// Prints a value as JSON, indented.
pub(crate) fn json(value: &Value) -> Result<()> {
    line(format_args!("{value:#}"))
}

/// Says why a command failed. If not even that can be written there is nothing left to do.
pub(crate) fn failure(failure: &Failure) {
    let _unheard = io::stderr().lock().write_all(failure.lines().as_bytes());
}

/// Says on standard error how far something is.
pub(crate) fn status(text: &str) {
    let _unheard = writeln!(io::stderr().lock(), "{text}");
}

/// Says on standard error what is worth knowing, though nothing failed.
pub(crate) fn note(text: &str) {
    let failure = Failure::new(format!("note: {text}"));
    let _unheard = io::stderr().lock().write_all(failure.lines().as_bytes());
}

/// Says on standard error how far it is.
pub(crate) fn progress(text: &str) {
    let line = format!("{}\n", one_line(text));
    let _unheard = io::stderr().lock().write_all(line.as_bytes());
}

/// Shows on standard error, as it is, what is for a terminal: a question, or a drawing.
pub(crate) fn show(text: &str) {
    let _unheard = io::stderr().lock().write_all(text.as_bytes());
}

/// A container's output on its way to ours: few calls for many lines, and always in order.
#[derive(Debug)]
pub(crate) struct Sink {
    stream: StreamName,
    held: Vec<u8>,
}

/// How much is held before it is written.
const MOST: usize = 64 << 10;

impl Sink {
    /// One that holds nothing.
    pub(crate) fn new() -> Self {
        Self { stream: StreamName::Stdout, held: Vec::new() }
    }

    /// Takes `bytes` for `stream`.
    pub(crate) fn write(&mut self, stream: StreamName, bytes: &[u8]) -> Result<()> {
        if stream != self.stream || self.held.len() + bytes.len() > MOST {
            self.flush()?;
            self.stream = stream;
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes what is held.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let mut rest = self.held.as_slice();
        while !rest.is_empty() {
            // Past the buffers of the standard library, which would write line by line.
            let written = match self.stream {
                StreamName::Stdout => rustix::io::write(rustix::stdio::stdout(), rest),
                StreamName::Stderr => rustix::io::write(rustix::stdio::stderr(), rest),
            };
            match written {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => self.wait()?,
                Err(errno) => {
                    self.held.clear();
                    return Err(Failure::of_output(errno.into()));
                }
            }
        }
        self.held.clear();
        Ok(())
    }

    /// Waits until more can be written: whoever shares our output may have made it non-blocking.
    fn wait(&self) -> Result<()> {
        use rustix::event::{PollFd, PollFlags, poll};
        let fd = match self.stream {
            StreamName::Stdout => rustix::stdio::stdout(),
            StreamName::Stderr => rustix::stdio::stderr(),
        };
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
        match rustix::io::retry_on_intr(|| poll(&mut fds, None)) {
            Ok(_) => Ok(()),
            Err(errno) => Err(Failure::of_output(errno.into())),
        }
    }
}
