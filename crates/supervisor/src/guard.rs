//! What is looked after beside the pod's processes, of which only the caller knows what it is.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use sandbar_spec::PortMapping;

use crate::Error;
use crate::poll::{Poll, Token};

/// How long after a look what happens is left to gather before the next: others may do much in a row, and every
/// supervisor of the machine is told of it.
const GATHER: Duration = Duration::from_millis(200);

/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// Something of the caller's that is to be kept as it is while the pod lives.
pub trait Guard {
    /// Readable when there may be something to do.
    fn as_fd(&self) -> BorrowedFd<'_>;

    /// The pod's networks have changed: there is something to do.
    fn changed(&mut self);

    /// Looks, and does it. `false`: it could not be done, and is to be tried again.
    fn attend(&mut self) -> bool;

    /// Which of the pod's ports are to be relayed after a look, and to which address of it.
    fn relayed(&mut self) -> Vec<(PortMapping, IpAddr)>;
}

/// A guard, and when it is due.
pub(crate) struct Guarding {
    guard: Box<dyn Guard>,
    due: Option<Instant>,
    last: Option<Instant>,
}

impl Guarding {
    /// Begins with a look, for it may have begun late.
    pub(crate) fn new(guard: Box<dyn Guard>) -> Self {
        Self { guard, due: Some(Instant::now() + GATHER), last: None }
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// There is something to look at: at once, if that was not done just now.
    pub(crate) fn told(&mut self, poll: &Poll, now: Instant) {
        poll.forget(self.guard.as_fd());
        self.due = Some(self.last.map_or(now, |last| now.max(last + GATHER)));
    }

    /// What is to be looked after has changed.
    pub(crate) fn changed(&mut self, poll: &Poll, now: Instant) {
        self.guard.changed();
        self.told(poll, now);
    }

    /// Which ports are to be relayed.
    pub(crate) fn relayed(&mut self) -> Vec<(PortMapping, IpAddr)> {
        self.guard.relayed()
    }

    /// Looks, if it is time for that; says whether it did.
    pub(crate) fn attend(&mut self, poll: &Poll, now: Instant) -> Result<bool, Error> {
        if self.due.take_if(|due| *due <= now).is_none() {
            return Ok(false);
        }
        self.last = Some(now);
        if self.guard.attend() {
            poll.watch(self.guard.as_fd(), Token::Guard)?;
        } else {
            self.due = Some(now + AGAIN);
        }
        Ok(true)
    }
}
