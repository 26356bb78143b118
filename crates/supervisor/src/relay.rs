//! What comes to a pod's published ports by `::1`, relayed to the pod.
//!
//! Where bridges call netfilter, the kernel can't translate `::1` (docs/design/0009-networks.md). There a program of
//! the host that takes `localhost` for `::1` is answered here: a *door* has `::1` at each such port, TCP connections
//! are joined by `splice(2)` and datagrams passed on by a socket for each who sends.
//!
//! It is a part of the supervisor's one thread: nothing in it waits, each call does little, and what fails ends one
//! connection and nothing else. Without a port to relay there is none of it.

mod connection;
mod doors;
mod flow;
mod tcp;
mod udp;
mod watch;

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use sandbar_spec::Protocol;

use crate::poll::Serial;
use crate::ports::HeldPort;
use doors::{Door, Doors};
use tcp::Connections;
use udp::Peers;
use watch::{Source, Watch};

/// How many descriptors are left to the supervisor's own work.
const KEPT: u64 = 100;

/// How long after there was no descriptor, or no memory, for a connection the next is accepted.
const AGAIN: Duration = Duration::from_millis(500);

/// The relay of one pod.
#[derive(Debug)]
pub(crate) struct Relay {
    watch: Watch,
    doors: Doors,
    connections: Connections,
    peers: Peers,
    /// When it is tried again to accept connections.
    again: Option<Instant>,
    last: Serial,
}

impl Relay {
    pub(crate) fn new() -> Result<Self, Errno> {
        let watch = Watch::new()?;
        let doors = Doors::new()?;
        watch.add(&doors, Source::Doors, watch::READ)?;
        Ok(Self {
            watch,
            doors,
            connections: Connections::default(),
            peers: Peers::default(),
            again: None,
            last: 0,
        })
    }

    /// Readable when there is something to do.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// Relays what comes to `::1` at the port that `held` keeps, until [`close`](Self::close).
    ///
    /// # Errors
    /// `OPNOTSUPP` for a protocol that is not relayed, `ADDRNOTAVAIL` for a port that is not kept at `::1`; else as
    /// bind(2) and listen(2).
    pub(crate) fn open(&mut self, held: &HeldPort, to: SocketAddr) -> Result<Serial, Errno> {
        let serial = self.serial();
        let door = Door::open(held, to)?;
        if !has_room(door.as_fd()) {
            return Err(Errno::MFILE);
        }
        match door.protocol {
            Protocol::Udp => self.watch.add(&door, Source::Datagrams(serial), watch::READ)?,
            _ => self.doors.watch(&door, serial)?,
        }
        self.doors.insert(serial, door);
        Ok(serial)
    }

    /// Lets go of a port. Connections that are open go on.
    pub(crate) fn close(&mut self, serial: Serial) {
        let Some(door) = self.doors.remove(serial) else { return };
        match door.protocol {
            Protocol::Udp => {
                self.watch.forget(&door);
                self.peers.close_all_of(serial, &self.watch);
            }
            _ => self.doors.forget(&door),
        }
    }

    /// When [`attend`](Self::attend) has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.again.into_iter().chain(self.peers.due()).min()
    }

    /// Does what time has come for.
    pub(crate) fn attend(&mut self, now: Instant) {
        if self.again.take_if(|again| *again <= now).is_some() {
            self.accept_again();
        }
        self.peers.close_idle(now, &self.watch);
    }

    /// Does some of what there is to do: the rest is told again.
    pub(crate) fn serve(&mut self) {
        for (source, flags) in self.watch.ready() {
            match source {
                Source::Doors => self.accept(),
                Source::Datagrams(serial) => {
                    if let Some(door) = self.doors.get(serial) {
                        let last = &mut self.last;
                        self.peers.take_in(serial, door, &self.watch, || next(last));
                    }
                }
                Source::Peer(serial) => self.peers.answer(serial, &self.doors, &self.watch),
                Source::Near(serial) | Source::Far(serial) => {
                    let was_full = self.connections.are_full();
                    self.connections.serve(serial, source, flags, &self.watch);
                    if was_full && !self.connections.are_full() {
                        self.accept_again();
                    }
                }
            }
        }
    }

    fn accept(&mut self) {
        for serial in self.doors.knocked_at() {
            let Some(door) = self.doors.get(serial) else { continue };
            while !self.connections.are_full() {
                match door.accept() {
                    Ok(near) => {
                        let last = &mut self.last;
                        self.connections.add(near, door.to, next(last), &self.watch);
                    }
                    Err(Errno::CONNABORTED | Errno::INTR) => {}
                    Err(Errno::AGAIN) => break,
                    // No descriptor, or no memory: who waits goes on waiting.
                    Err(_) => {
                        self.again = Some(Instant::now() + AGAIN);
                        return self.watch.forget(&self.doors);
                    }
                }
            }
        }
        if self.connections.are_full() {
            self.watch.forget(&self.doors);
        }
    }

    fn accept_again(&mut self) {
        let watched = self.watch.add(&self.doors, Source::Doors, watch::READ);
        if !matches!(watched, Ok(()) | Err(Errno::EXIST)) {
            self.again = Some(Instant::now() + AGAIN);
        }
    }

    fn serial(&mut self) -> Serial {
        next(&mut self.last)
    }
}

/// A number not used before.
fn next(last: &mut Serial) -> Serial {
    *last = last.wrapping_add(1);
    *last
}

/// Whether with `newest`, which has the lowest number that was free, enough descriptors are left to the supervisor.
fn has_room(newest: BorrowedFd<'_>) -> bool {
    let number = u64::try_from(newest.as_raw_fd()).unwrap_or(0);
    getrlimit(Resource::Nofile).current.is_none_or(|limit| number.saturating_add(KEPT) < limit)
}
