//! Datagrams: each who sends some has a socket to the pod, by which the answers come back to it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, recvfrom, send,
    sendto, socket_with,
};

use super::doors::{Door, Doors};
use super::watch::{READ, Source, Watch};
use crate::poll::Serial;

/// The most peers of a pod: the one that was silent longest makes room for the next.
const MOST: usize = 256;

/// After how long a silent peer is forgotten.
const IDLE: Duration = Duration::from_secs(60);

/// How many datagrams are passed on in one turn.
const TURN: u32 = 32;

/// The longest datagram.
const LONGEST: usize = 1 << 16;

/// Who sent datagrams, and by which door.
type From = (Serial, SocketAddrV6);

#[derive(Debug)]
struct Peer {
    from: From,
    socket: OwnedFd,
    last: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Peers {
    all: BTreeMap<Serial, Peer>,
    by_sender: BTreeMap<From, Serial>,
    /// When it is looked next who was silent; with nobody there, never.
    due: Option<Instant>,
}

impl Peers {
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Takes in what has come to a door, and passes it on to the pod.
    pub(super) fn take_in(
        &mut self,
        number: Serial,
        door: &Door,
        watch: &Watch,
        mut serial: impl FnMut() -> Serial,
    ) {
        let mut datagram = Vec::with_capacity(LONGEST);
        for _ in 0..TURN {
            datagram.clear();
            let buffer = spare_capacity(&mut datagram);
            let from = match recvfrom(door, buffer, RecvFlags::DONTWAIT) {
                Ok((_, _, from)) => from,
                Err(Errno::INTR) => continue,
                Err(_) => return,
            };
            let Some(Ok(SocketAddr::V6(from))) = from.map(SocketAddr::try_from) else { continue };
            let from = (number, from);
            let known = self.by_sender.get(&from).copied();
            let known = known.or_else(|| self.add(from, door.to, serial(), watch));
            if let Some(peer) = known.and_then(|serial| self.all.get_mut(&serial)) {
                peer.last = Instant::now();
                let pass_on = || send(&peer.socket, &datagram, SendFlags::DONTWAIT);
                // What fails the first time may be told of an earlier one: nobody was there for it (udp(7)).
                let _sent_or_lost = pass_on().or_else(|_| pass_on());
            }
        }
    }

    /// Passes on what the pod answers.
    pub(super) fn answer(&mut self, serial: Serial, doors: &Doors, watch: &Watch) {
        let Some(peer) = self.all.get_mut(&serial) else { return };
        let (door, to) = peer.from;
        let Some(door) = doors.get(door) else { return self.close(serial, watch) };
        let mut datagram = Vec::with_capacity(LONGEST);
        for _ in 0..TURN {
            datagram.clear();
            match recv(&peer.socket, spare_capacity(&mut datagram), RecvFlags::DONTWAIT) {
                Ok(_) => {}
                // Nobody was there for one; there may be for the next.
                Err(Errno::INTR | Errno::CONNREFUSED) => continue,
                Err(Errno::AGAIN) => return,
                Err(_) => return self.close(serial, watch),
            }
            peer.last = Instant::now();
            let _sent_or_lost = sendto(door, &datagram, SendFlags::DONTWAIT, &to);
        }
    }

    fn add(&mut self, from: From, to: SocketAddr, serial: Serial, watch: &Watch) -> Option<Serial> {
        if self.all.len() >= MOST {
            let silent = self.all.iter().min_by_key(|(_, peer)| peer.last);
            let silent = silent.map(|(serial, _)| *serial);
            self.close(silent?, watch);
        }
        let socket = connected(to).ok().filter(|socket| super::has_room(socket.as_fd()))?;
        watch.add(&socket, Source::Peer(serial), READ).ok()?;
        let last = Instant::now();
        self.due.get_or_insert(last + IDLE);
        self.by_sender.insert(from, serial);
        self.all.insert(serial, Peer { from, socket, last });
        Some(serial)
    }

    fn close(&mut self, serial: Serial, watch: &Watch) {
        if let Some(peer) = self.all.remove(&serial) {
            self.by_sender.remove(&peer.from);
            watch.forget(&peer.socket);
        }
        if self.all.is_empty() {
            self.due = None;
        }
    }

    /// Forgets those who came by a door that is closed.
    pub(super) fn close_all_of(&mut self, door: Serial, watch: &Watch) {
        self.close_those(watch, |peer| peer.from.0 == door);
    }

    /// Forgets those who were silent for long.
    pub(super) fn close_idle(&mut self, now: Instant, watch: &Watch) {
        if self.due.take_if(|due| *due <= now).is_some() {
            self.close_those(watch, |peer| peer.last + IDLE <= now);
            self.due = self.all.values().map(|peer| peer.last + IDLE).min();
        }
    }

    fn close_those(&mut self, watch: &Watch, which: impl Fn(&Peer) -> bool) {
        let those: Vec<Serial> =
            self.all.iter().filter(|(_, peer)| which(peer)).map(|(serial, _)| *serial).collect();
        for serial in those {
            self.close(serial, watch);
        }
    }
}

fn connected(to: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if to.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &to)?;
    Ok(socket)
}
