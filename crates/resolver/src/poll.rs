//! Waiting for any of many sockets: `epoll(7)` with typed tokens.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use sandbar_sys::During;

use crate::error::Result;

/// What a descriptor is. The numbers are given once each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// The directory of endpoints has changed.
    Names,
    /// A socket for datagrams from clients.
    Datagrams(u32),
    /// A socket for connections from clients.
    Connections(u32),
    /// A connected client.
    Client(u32),
    /// A question to another server.
    Forward(u32),
}

/// An epoll instance.
#[derive(Debug)]
pub(crate) struct Poll(OwnedFd);

impl Token {
    fn data(self) -> EventData {
        let (kind, number) = match self {
            Self::Names => (0, 0),
            Self::Datagrams(number) => (1, number),
            Self::Connections(number) => (2, number),
            Self::Client(number) => (3, number),
            Self::Forward(number) => (4, number),
        };
        EventData::new_u64((kind << 32) | u64::from(number))
    }

    fn from_data(data: EventData) -> Self {
        let number = u32::try_from(data.u64() & u64::from(u32::MAX)).unwrap_or(0);
        match data.u64() >> 32 {
            0 => Self::Names,
            1 => Self::Datagrams(number),
            2 => Self::Connections(number),
            3 => Self::Client(number),
            _ => Self::Forward(number),
        }
    }
}

impl Poll {
    pub(crate) fn new() -> Result<Self> {
        let created = epoll::create(CreateFlags::CLOEXEC);
        Ok(Self(created.during("epoll_create1", || "EPOLL_CLOEXEC".into())?))
    }

    /// Watches `fd` until it is closed.
    pub(crate) fn watch(&self, fd: impl AsFd, token: Token, events: EventFlags) -> Result<()> {
        epoll::add(&self.0, fd, token.data(), events)
            .during("epoll_ctl", || format!("EPOLL_CTL_ADD {token:?}"))?;
        Ok(())
    }

    /// Watches `fd` for something else.
    pub(crate) fn rewatch(&self, fd: impl AsFd, token: Token, events: EventFlags) -> Result<()> {
        epoll::modify(&self.0, fd, token.data(), events)
            .during("epoll_ctl", || format!("EPOLL_CTL_MOD {token:?}"))?;
        Ok(())
    }

    /// What is ready, waiting until `deadline` at the most.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Result<Vec<Token>> {
        let mut events = Vec::with_capacity(32);
        let timeout = deadline.map(|deadline| {
            let left =
                deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 })
        });
        match epoll::wait(&self.0, spare_capacity(&mut events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => Err(errno).during("epoll_wait", String::new)?,
        }
        Ok(events.iter().map(|event| Token::from_data(event.data)).collect())
    }
}
