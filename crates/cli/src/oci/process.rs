//! A process that was started: told of, waited for.

use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, Signal, WaitOptions, pidfd_send_signal, waitpid};
use rustix::stdio::{stderr, stdin, stdout};
use sandbar_runtime::{Event, Starting, Stdio};
use sandbar_spec::SignalNumber;
use sandbar_sys::SignalFd;

use super::{Context, console, failure_of_start};
use crate::attach::{Attachment, Over};
use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};
use crate::stdio;

/// The caller's own standard descriptors, or a terminal.
pub(super) fn stdio(terminal: bool) -> Result<Stdio> {
    if terminal {
        return Ok(Stdio::Terminal);
    }
    let fds = [stdio::own(stdin())?, stdio::own(stdout())?, stdio::own(stderr())?];
    Ok(Stdio::Descriptors(fds))
}

/// Follows a start to the next point at which something is to be done: `None` when its program runs.
pub(super) fn follow(
    context: &Context,
    action: &str,
    program: &str,
    starting: &mut Starting,
    terminal: &mut Option<OwnedFd>,
) -> Result<Option<Point>> {
    loop {
        match starting
            .next_event()
            .map_err(|failure| Failure::new(format!("cannot {action}: {failure}")))?
        {
            Event::Told(text) => context.log.told(&text),
            Event::Terminal(master) => *terminal = Some(master),
            Event::Prepared => return Ok(Some(Point::Prepared)),
            Event::Created => return Ok(Some(Point::Created)),
            Event::Running => return Ok(None),
            Event::Failed(error) => return Err(failure_of_start(action, program, &error)),
        }
    }
}

/// Where a start waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    Prepared,
    Created,
}

/// Passes signals, and what goes through a terminal, on until the child `pid` ends; its exit code.
pub(super) fn attend(
    pid: Pid,
    pidfd: &OwnedFd,
    terminal: Option<&OwnedFd>,
    signals: SignalFd,
) -> Result<Exit> {
    let (flows, raw) = match terminal {
        Some(terminal) => console::flows(terminal.as_fd())?,
        None => (Vec::new(), None),
    };
    let over = Attachment {
        ended: pidfd.as_fd(),
        log: None,
        flows,
        terminal: terminal.map(AsFd::as_fd),
        signals,
        forward: &|signal| send(pidfd, signal),
    }
    .run();
    drop(raw);
    match over? {
        Over::Interrupted(signal) => {
            send(pidfd, SignalNumber::KILL);
            Ok(Exit(u8::try_from(128 + signal).unwrap_or(1)))
        }
        Over::Ended => exit_code(pid),
    }
}

/// The exit code of a child that has ended, as a shell would say it.
fn exit_code(pid: Pid) -> Result<Exit> {
    let status = waitpid(Some(pid), WaitOptions::empty()).doing("learn how the process ended")?;
    let status = status.map(|(_, status)| status);
    let code = status.and_then(|status| {
        status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal))
    });
    match code.and_then(|code| u8::try_from(code).ok()) {
        Some(code) => Ok(Exit(code)),
        None => Err(Failure::new("how the process ended is unknown")),
    }
}

fn send(pidfd: &OwnedFd, signal: SignalNumber) {
    if let Some(signal) = number(signal) {
        // It may have ended meanwhile.
        let _ended = pidfd_send_signal(pidfd, signal);
    }
}

/// A signal as the system calls take it.
pub(super) fn number(signal: SignalNumber) -> Option<Signal> {
    Signal::from_named_raw(signal.get()).or_else(|| sandbar_sys::real_time_signal(signal.get()))
}
