//! Being attached to a process in a container: its output is shown as it comes, what the caller types and the
//! signals that the caller gets are passed on, until it ends.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;
use sandbar_engine::Log;
use sandbar_spec::{ExitCode, SignalNumber};
use sandbar_sys::SignalFd;

use crate::cli::Exit;
use crate::failure::{Doing, Failure, OWN_FAILURE, Result};
use crate::flow::Flow;
use crate::output::Sink;
use crate::terminal;

/// What is between the caller and a process.
pub(crate) struct Attachment<'a> {
    /// Readable when the process has ended.
    pub(crate) ended: BorrowedFd<'a>,
    /// Where a container's output is read.
    pub(crate) log: Option<Log>,
    /// What is passed on byte by byte.
    pub(crate) flows: Vec<Flow>,
    /// The process's terminal, which has the size of the caller's.
    pub(crate) terminal: Option<BorrowedFd<'a>>,
    /// The signals to pass on, taken over before the process was started ([`signals`]).
    pub(crate) signals: SignalFd,
    /// Passes a signal on.
    pub(crate) forward: &'a dyn Fn(SignalNumber),
}

/// Takes over the signals that are the process's rather than ours: from here on none is lost.
pub(crate) fn signals(terminal: bool) -> Result<SignalFd> {
    let mut signals = vec![Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT];
    if terminal {
        signals.push(Signal::WINCH);
    }
    SignalFd::new(&signals).doing("watch for signals")
}

/// Why it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// The process has ended.
    Ended,
    /// The caller was told by a signal to end while keys, and so Control-C, were the container's.
    Interrupted(i32),
}

impl Over {
    /// The exit code; `code` asks for that of the process.
    pub(crate) fn exit(self, code: impl FnOnce() -> Result<ExitCode>) -> Result<Exit> {
        match self {
            Self::Ended => exit(code()?),
            Self::Interrupted(signal) => {
                Ok(Exit(u8::try_from(128 + signal).unwrap_or(OWN_FAILURE)))
            }
        }
    }
}

/// The process's code as ours; an unknown one is not made up.
pub(crate) fn exit(code: ExitCode) -> Result<Exit> {
    match code.known().map(|code| code.rem_euclid(256)).and_then(|code| u8::try_from(code).ok()) {
        Some(code) => Ok(Exit(code)),
        None => Err(Failure::new("how the process ended is unknown: nobody was there to see it")
            .hint("its supervisor was killed or could not be reached")),
    }
}

impl Attachment<'_> {
    /// Passes everything on until it is over.
    pub(crate) fn run(mut self) -> Result<Over> {
        if let Some(process) = self.terminal {
            terminal::resize(process);
        }
        let mut sink = Sink::new();
        loop {
            self.show_log(&mut sink)?;
            let Ready { ended, signalled, flows } = self.wait()?;
            if signalled && let Some(signal) = self.pass_signals_on() {
                return Ok(Over::Interrupted(signal));
            }
            for (flow, is_ready) in self.flows.iter_mut().zip(flows) {
                if is_ready {
                    flow.advance()?;
                }
            }
            if ended {
                self.show_log(&mut sink)?;
                self.flows.iter_mut().try_for_each(Flow::drain)?;
                return Ok(Over::Ended);
            }
        }
    }

    fn show_log(&mut self, sink: &mut Sink) -> Result<()> {
        let Some(log) = &mut self.log else { return Ok(()) };
        while let Some(chunk) = log.next_chunk().doing("read the log")? {
            sink.write(chunk.stream, &chunk.text)?;
        }
        sink.flush()
    }

    fn wait(&self) -> Result<Ready> {
        let mut fds = vec![
            PollFd::new(&self.ended, PollFlags::IN),
            PollFd::new(&self.signals, PollFlags::IN),
        ];
        let first = fds.len();
        // Each flow's place, if it waits for anything.
        let mut places = Vec::with_capacity(self.flows.len());
        for flow in &self.flows {
            places.push(flow.interest().map(|(fd, flags)| {
                fds.push(PollFd::from_borrowed_fd(fd, flags));
                fds.len() - 1
            }));
        }
        if let Some(log) = &self.log {
            fds.push(PollFd::from_borrowed_fd(log.as_fd(), PollFlags::IN));
        }
        rustix::io::retry_on_intr(|| poll(&mut fds, None)).doing("wait for the process")?;
        let is_ready = |place: usize| fds.get(place).is_some_and(|fd| !fd.revents().is_empty());
        Ok(Ready {
            ended: is_ready(0),
            signalled: is_ready(first - 1),
            flows: places.into_iter().map(|place| place.is_some_and(is_ready)).collect(),
        })
    }

    /// Passes pending signals on; one that is to end us, where keys are the container's, is returned.
    fn pass_signals_on(&self) -> Option<i32> {
        while let Some(number) = self.signals.next() {
            match self.terminal {
                Some(process) if number == Signal::WINCH.as_raw() => terminal::resize(process),
                Some(_) => return Some(number),
                None => {
                    if let Ok(signal) = number.to_string().parse() {
                        (self.forward)(signal);
                    }
                }
            }
        }
        None
    }
}

/// What can go on.
struct Ready {
    ended: bool,
    signalled: bool,
    flows: Vec<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_passed_on_and_an_unknown_one_is_a_failure() {
        assert_eq!(exit(ExitCode::Known(0)).unwrap(), Exit(0));
        assert_eq!(exit(ExitCode::Known(137)).unwrap(), Exit(137));
        let failure = exit(ExitCode::Unknown).unwrap_err();
        assert_eq!(failure.code(OWN_FAILURE), 125);
        assert!(failure.lines().contains("unknown"));
        assert_eq!(Over::Interrupted(15).exit(|| Ok(ExitCode::Known(0))).unwrap(), Exit(143));
    }
}
