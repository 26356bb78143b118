//! Being told to stop.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;
use sandbar_sys::{During, SignalFd};

use crate::error::{Error, Kind, Result};

/// The signals that end a build, taken over while a `RUN` goes on, which is ended first. At all other times they end it
/// as they end any program, and the next build clears what is left.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    pub(crate) fn take() -> Result<Self> {
        let signals = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT];
        Ok(Self(SignalFd::new(&signals).during("signalfd", String::new)?))
    }

    /// Fails if one came.
    fn check(&self) -> Result<()> {
        match self.0.next() {
            None => Ok(()),
            Some(number) => {
                let message = "the build was told to stop";
                Err(Error::new(Kind::Interrupted(number), message))
            }
        }
    }

    /// Waits until one of `others` can be read, and says which; fails if a signal came.
    pub(crate) fn wait(&self, others: &[&dyn AsFd]) -> Result<Vec<bool>> {
        let fds: Vec<BorrowedFd<'_>> = others.iter().map(|fd| fd.as_fd()).collect();
        let mut fds: Vec<PollFd<'_>> = fds
            .iter()
            .chain([&self.0.as_fd()])
            .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        rustix::io::retry_on_intr(|| poll(&mut fds, None)).during("poll", String::new)?;
        self.check()?;
        Ok(fds.iter().take(others.len()).map(|fd| !fd.revents().is_empty()).collect())
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        sandbar_sys::unblock_signals();
    }
}
