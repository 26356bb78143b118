//! One TCP connection from the host, and the one to the pod that it is joined to.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};

use super::flow::{Flow, Pipes};
use super::watch::{Source, Watch};
use crate::poll::Serial;

/// What tells that reading, or writing, may go on, or is over.
const OVER: EventFlags = EventFlags::HUP.union(EventFlags::ERR);

/// An end of a connection, and what it is watched for.
#[derive(Debug)]
struct End {
    socket: OwnedFd,
    watched: EventFlags,
}

#[derive(Debug)]
pub(super) struct Connection {
    near: End,
    far: End,
    to_pod: Flow,
    to_host: Flow,
    is_connecting: bool,
}

impl Connection {
    /// Begins to connect who came to the pod.
    ///
    /// # Errors
    /// As socket(2) and connect(2); who came is turned away.
    pub(super) fn begin(near: OwnedFd, to: SocketAddr) -> Result<Self, Errno> {
        let begun = begin_to_connect(to);
        if begun.is_err() {
            reset(&near);
        }
        let end = |socket| End { socket, watched: EventFlags::empty() };
        Ok(Self {
            far: end(begun?),
            near: end(near),
            to_pod: Flow::default(),
            to_host: Flow::default(),
            is_connecting: true,
        })
    }

    /// Goes on after something happened at one of its ends. `false`: it is over.
    pub(super) fn go_on(&mut self, source: Source, flags: EventFlags, pipes: &mut Pipes) -> bool {
        let done = match self.is_connecting {
            true => self.finish_connecting(),
            false => self.relay(matches!(source, Source::Near(_)), flags, pipes),
        };
        if done.is_err() {
            // What broke one side shall look broken from the other, and not like an end.
            reset(&self.near.socket);
            reset(&self.far.socket);
        }
        done.is_ok() && !(self.to_pod.has_ended && self.to_host.has_ended)
    }

    fn finish_connecting(&mut self) -> Result<(), Errno> {
        sockopt::socket_error(&self.far.socket)??;
        self.is_connecting = false;
        Ok(())
    }

    fn relay(&mut self, is_near: bool, flags: EventFlags, pipes: &mut Pipes) -> Result<(), Errno> {
        let Self { near, far, to_pod, to_host, .. } = self;
        let (near, far) = (&near.socket, &far.socket);
        let (can_read, can_write) =
            (flags.intersects(EventFlags::IN | OVER), flags.intersects(EventFlags::OUT | OVER));
        if (is_near && can_read && to_pod.wants_more())
            || (!is_near && can_write && to_pod.is_stuck())
        {
            to_pod.go_on(near, far, pipes)?;
        }
        if (!is_near && can_read && to_host.wants_more())
            || (is_near && can_write && to_host.is_stuck())
        {
            to_host.go_on(far, near, pipes)?;
        }
        Ok(())
    }

    /// Has its ends watched for what it waits for. An end of which nothing is wanted is not watched: that it is over
    /// would be told again and again.
    pub(super) fn watch(&mut self, serial: Serial, watch: &Watch) -> Result<(), Errno> {
        let wanted = |more: &Flow, stuck: &Flow| {
            let read = if more.wants_more() { EventFlags::IN } else { EventFlags::empty() };
            let write = if stuck.is_stuck() { EventFlags::OUT } else { EventFlags::empty() };
            read | write
        };
        let (near, far) = match self.is_connecting {
            true => (EventFlags::empty(), EventFlags::OUT),
            false => (wanted(&self.to_pod, &self.to_host), wanted(&self.to_host, &self.to_pod)),
        };
        self.near.watch(Source::Near(serial), near, watch)?;
        self.far.watch(Source::Far(serial), far, watch)
    }

    /// Stops watching it, and closes it.
    pub(super) fn close(self, watch: &Watch) {
        watch.forget(&self.near.socket);
        watch.forget(&self.far.socket);
    }
}

impl End {
    fn watch(&mut self, source: Source, wanted: EventFlags, watch: &Watch) -> Result<(), Errno> {
        if wanted == self.watched {
            return Ok(());
        }
        if wanted.is_empty() {
            watch.forget(&self.socket);
        } else if self.watched.is_empty() {
            watch.add(&self.socket, source, wanted)?;
        } else {
            watch.change(&self.socket, source, wanted)?;
        }
        self.watched = wanted;
        Ok(())
    }
}

fn begin_to_connect(to: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if to.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let far = socket_with(family, SocketType::STREAM, flags, None)?;
    // A pod that is gone without a word.
    sockopt::set_socket_keepalive(&far, true)?;
    sockopt::set_tcp_nodelay(&far, true)?;
    match connect(&far, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(far),
        Err(errno) => Err(errno),
    }
}

/// Has a connection end with a reset when it is closed (`SO_LINGER`, socket(7)).
pub(super) fn reset(socket: &OwnedFd) {
    // One that can't be told so is over already.
    let _told = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}
