//! The caller's standard input, output and error, as a process in a container gets them.
//!
//! It gets the caller's own descriptors and no byte is copied; unless one is a terminal. A terminal in the hands of
//! a container could be read, reprogrammed and typed into (`TIOCSTI`), so then there is a pipe in between.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::isatty;

use crate::failure::{Doing, Result};
use crate::flow::{AtEnd, Flow};

/// Three streams for a process, and what has to be passed on for them.
#[derive(Debug)]
pub(crate) struct Stdio {
    given: [OwnedFd; 3],
    flows: Vec<Flow>,
}

impl Stdio {
    /// Streams that are empty and lead nowhere, for a process with a terminal of its own.
    pub(crate) fn null() -> Result<Self> {
        Ok(Self { given: [null()?, null()?, null()?], flows: Vec::new() })
    }

    /// The caller's own, its input only if `interactive`.
    pub(crate) fn of_caller(interactive: bool) -> Result<Self> {
        let mut flows = Vec::new();
        let input = if interactive { input(&mut flows)? } else { null()? };
        let out = output(stdout(), &mut flows)?;
        let error = output(stderr(), &mut flows)?;
        Ok(Self { given: [input, out, error], flows })
    }

    /// What the process is given.
    pub(crate) fn given(&self) -> [BorrowedFd<'_>; 3] {
        let [input, output, error] = &self.given;
        [input.as_fd(), output.as_fd(), error.as_fd()]
    }

    /// What is to be passed on. What the process was given is closed here, so that its end can be seen.
    pub(crate) fn into_flows(self) -> Vec<Flow> {
        self.flows
    }
}

/// The caller's standard input.
pub(crate) fn input(flows: &mut Vec<Flow>) -> Result<OwnedFd> {
    if !isatty(stdin()) {
        return own(stdin());
    }
    let (theirs, ours) = pipe()?;
    flows.push(Flow::input(own(stdin())?, ours, AtEnd::Close)?);
    Ok(theirs)
}

fn output(stream: BorrowedFd<'_>, flows: &mut Vec<Flow>) -> Result<OwnedFd> {
    if !isatty(stream) {
        return own(stream);
    }
    let (ours, theirs) = pipe()?;
    flows.push(Flow::output(ours, own(stream)?)?);
    Ok(theirs)
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(PipeFlags::CLOEXEC).doing("make a pipe")
}

/// A descriptor of our own for one of the caller's.
pub(crate) fn own(stream: BorrowedFd<'_>) -> Result<OwnedFd> {
    stream.try_clone_to_owned().doing("use a standard stream")
}

fn null() -> Result<OwnedFd> {
    let file = File::options().read(true).write(true).open("/dev/null");
    file.map(OwnedFd::from).doing("open /dev/null")
}
