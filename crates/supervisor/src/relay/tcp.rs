//! All TCP connections that are relayed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::EventFlags;
use rustix::net::sockopt;

use super::connection::{Connection, reset};
use super::flow::Pipes;
use super::watch::{Source, Watch};
use crate::poll::Serial;

/// The most connections of a pod: further ones wait to be accepted until one of them has ended.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Connections {
    all: BTreeMap<Serial, Connection>,
    pipes: Pipes,
}

impl Connections {
    pub(super) fn are_full(&self) -> bool {
        self.all.len() >= MOST
    }

    /// Relays who came to `to`.
    pub(super) fn add(&mut self, near: OwnedFd, to: SocketAddr, serial: Serial, watch: &Watch) {
        if !super::has_room(near.as_fd()) {
            return reset(&near);
        }
        // Small answers shall not wait for more.
        let _prompt = sockopt::set_tcp_nodelay(&near, true);
        let Ok(mut connection) = Connection::begin(near, to) else { return };
        match connection.watch(serial, watch) {
            Ok(()) => drop(self.all.insert(serial, connection)),
            Err(_) => connection.close(watch),
        }
    }

    /// Goes on with a connection at which something happened.
    pub(super) fn serve(
        &mut self,
        serial: Serial,
        source: Source,
        flags: EventFlags,
        watch: &Watch,
    ) {
        let Some(connection) = self.all.get_mut(&serial) else { return };
        if connection.go_on(source, flags, &mut self.pipes)
            && connection.watch(serial, watch).is_ok()
        {
            return;
        }
        if let Some(over) = self.all.remove(&serial) {
            over.close(watch);
        }
        if self.all.is_empty() {
            self.pipes.clear();
        }
    }
}
