//! What the relay waits for: an `epoll(7)` instance of its own, which the supervisor watches as one descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use crate::poll::Serial;

/// How much is looked at in one turn: after it, it is the supervisor's again.
const TURN: usize = 32;

pub(super) const READ: EventFlags = EventFlags::IN;

/// Where something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// At some door for connections.
    Doors,
    /// At the door for datagrams of this number.
    Datagrams(Serial),
    /// At the pod's side of a peer that sent datagrams.
    Peer(Serial),
    /// At the host's end of a connection.
    Near(Serial),
    /// At the pod's end of a connection.
    Far(Serial),
}

impl Source {
    fn data(self) -> EventData {
        let (kind, serial) = match self {
            Self::Doors => (0, 0),
            Self::Datagrams(serial) => (1, serial),
            Self::Peer(serial) => (2, serial),
            Self::Near(serial) => (3, serial),
            Self::Far(serial) => (4, serial),
        };
        EventData::new_u64((kind << 32) | u64::from(serial))
    }

    fn from_data(data: EventData) -> Self {
        let serial = Serial::try_from(data.u64() & u64::from(u32::MAX)).unwrap_or(0);
        match data.u64() >> 32 {
            0 => Self::Doors,
            1 => Self::Datagrams(serial),
            2 => Self::Peer(serial),
            3 => Self::Near(serial),
            _ => Self::Far(serial),
        }
    }
}

/// An epoll instance. What is watched is to be forgotten before it is dropped: see [`Poll`](crate::poll::Poll).
#[derive(Debug)]
pub(super) struct Watch(OwnedFd);

impl Watch {
    pub(super) fn new() -> Result<Self, Errno> {
        epoll::create(CreateFlags::CLOEXEC).map(Self)
    }

    pub(super) fn add(
        &self,
        fd: impl AsFd,
        source: Source,
        flags: EventFlags,
    ) -> Result<(), Errno> {
        epoll::add(&self.0, fd, source.data(), flags)
    }

    pub(super) fn change(
        &self,
        fd: impl AsFd,
        source: Source,
        flags: EventFlags,
    ) -> Result<(), Errno> {
        epoll::modify(&self.0, fd, source.data(), flags)
    }

    pub(super) fn forget(&self, fd: impl AsFd) {
        // What is not watched is forgotten already.
        let _forgotten = epoll::delete(&self.0, fd);
    }

    /// What is ready now, a turn of it.
    pub(super) fn ready(&self) -> Vec<(Source, EventFlags)> {
        let mut events = Vec::with_capacity(TURN);
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // What this does not tell it tells the next time.
        let _told = epoll::wait(&self.0, spare_capacity(&mut events), Some(&now));
        events.iter().map(|event| (Source::from_data(event.data), event.flags)).collect()
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
