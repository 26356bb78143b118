//! Waiting for any of many descriptors: `epoll(7)` with typed tokens.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use sandbar_sys::During;

use crate::Error;

/// A number that names one thing for the supervisor's life.
pub(crate) type Serial = u32;

/// What a descriptor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// The control socket.
    Listener,
    /// SIGCHLD.
    Signals,
    /// A connected client.
    Client(Serial),
    /// What a container prints.
    Stream(Serial),
    /// A process that is being started.
    Starting(Serial),
    /// A process that is not a child of ours.
    Adopted(Serial),
    /// What is looked after for the caller.
    Guard,
    /// What is relayed to the pod.
    Relay,
}

/// An epoll instance.
#[derive(Debug)]
pub(crate) struct Poll {
    epoll: OwnedFd,
    next: Serial,
}

impl Token {
    fn data(self) -> EventData {
        let (kind, serial) = match self {
            Self::Listener => (0, 0),
            Self::Signals => (1, 0),
            Self::Client(serial) => (2, serial),
            Self::Stream(serial) => (3, serial),
            Self::Starting(serial) => (4, serial),
            Self::Adopted(serial) => (5, serial),
            Self::Guard => (6, 0),
            Self::Relay => (7, 0),
        };
        EventData::new_u64((kind << 32) | u64::from(serial))
    }

    fn from_data(data: EventData) -> Self {
        let serial = Serial::try_from(data.u64() & u64::from(u32::MAX)).unwrap_or(0);
        match data.u64() >> 32 {
            0 => Self::Listener,
            1 => Self::Signals,
            2 => Self::Client(serial),
            3 => Self::Stream(serial),
            4 => Self::Starting(serial),
            5 => Self::Adopted(serial),
            6 => Self::Guard,
            _ => Self::Relay,
        }
    }
}

impl Poll {
    pub(crate) fn new() -> Result<Self, Error> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)
            .during("epoll_create1", || "EPOLL_CLOEXEC".into())?;
        Ok(Self { epoll, next: 0 })
    }

    /// A number not used before.
    pub(crate) fn serial(&mut self) -> Serial {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    /// Watches `fd` until [`close`](Self::close) or [`forget`](Self::forget).
    ///
    /// To drop it is not enough: an event stays as long as anybody has a copy of the descriptor (epoll(7)), and
    /// every child has one from its clone to its program. One that nobody reads any more would keep the loop turning.
    pub(crate) fn watch(&self, fd: impl AsFd, token: Token) -> Result<(), Error> {
        epoll::add(&self.epoll, fd, token.data(), EventFlags::IN)
            .during("epoll_ctl", || format!("{token:?}"))
            .map_err(Error::from)
    }

    /// Stops watching `fd`, which stays open.
    pub(crate) fn forget(&self, fd: impl AsFd) {
        // A descriptor that is not watched is forgotten already.
        let _forgotten = epoll::delete(&self.epoll, fd);
    }

    /// Stops watching what `fd` has, and drops it.
    pub(crate) fn close(&self, fd: impl AsFd) {
        self.forget(&fd);
    }

    /// What is ready, waiting until `deadline` at the most.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Result<Vec<Token>, Error> {
        let mut events = Vec::with_capacity(16);
        let timeout = deadline.map(|deadline| {
            let left =
                deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 })
        });
        match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => {
                return Err(errno).during("epoll_wait", String::new).map_err(Error::from);
            }
        }
        Ok(events.iter().map(|event| Token::from_data(event.data)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_closed_is_silent_though_somebody_else_has_a_copy() {
        let poll = Poll::new().unwrap();
        let (ours, theirs) = std::io::pipe().unwrap();
        poll.watch(&ours, Token::Client(7)).unwrap();
        let _copy_of_a_child = ours.try_clone().unwrap();
        drop(theirs);
        let soon = || Some(Instant::now() + Duration::from_millis(20));
        assert_eq!(poll.wait(soon()).unwrap(), [Token::Client(7)]);
        poll.close(ours);
        assert_eq!(poll.wait(soon()).unwrap(), []);
    }
}
