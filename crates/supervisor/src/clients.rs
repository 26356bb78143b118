//! The clients of a supervisor.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::SocketFlags;
use sandbar_spec::control::{Failure, Reply, Request};

use crate::member::Member;
use crate::packet::{self, Packet};
use crate::poll::{Serial, Token};
use crate::supervisor::Supervisor;

/// The most clients at once; further ones are turned away.
const MOST_CLIENTS: usize = 1024;

impl Supervisor {
    /// Takes in all clients that wait.
    pub(crate) fn accept_clients(&mut self) {
        loop {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match rustix::net::accept_with(&self.listener, flags) {
                Ok(client) if self.clients.len() < MOST_CLIENTS => self.add_client(client),
                Ok(turned_away) => drop(turned_away),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                // None is left, or no descriptor: who waits goes on waiting.
                Err(_) => return,
            }
        }
    }

    pub(crate) fn add_client(&mut self, client: OwnedFd) {
        let serial = self.poll.serial();
        if self.poll.watch(&client, Token::Client(serial)).is_ok() {
            self.clients.insert(serial, client);
        }
    }

    /// Handles one request of a client.
    pub(crate) fn read_client(&mut self, serial: Serial) {
        let Some(client) = self.clients.get(&serial) else { return };
        match packet::receive::<Request>(client) {
            Ok(Some(Packet { message, descriptors })) => {
                self.handle(serial, message, descriptors);
            }
            Err(Errno::AGAIN) => {}
            Err(Errno::MSGSIZE | Errno::BADMSG) => {
                self.fail(serial, Failure::Other, "the request is malformed");
                self.drop_client(serial);
            }
            Ok(None) | Err(_) => self.drop_client(serial),
        }
    }

    pub(crate) fn drop_client(&mut self, serial: Serial) {
        if let Some(client) = self.clients.remove(&serial) {
            self.poll.close(client);
        }
        self.forget_holder(serial);
        for member in self.members.values_mut() {
            member.waiters.retain(|waiter| waiter.client != serial);
        }
    }

    /// Answers a client; one that is gone, or reads too slowly for a few packets, is dropped.
    pub(crate) fn reply(&mut self, serial: Serial, reply: &Reply, fds: &[BorrowedFd<'_>]) {
        let Some(client) = self.clients.get(&serial) else { return };
        if packet::send(client, reply, fds).is_err() {
            self.drop_client(serial);
        }
    }

    /// Answers that it could not be done.
    pub(crate) fn fail(&mut self, serial: Serial, kind: Failure, message: impl Into<String>) {
        // Cut to what fits a packet: what JSON would need six characters for is left out.
        let message: String = message.into();
        let message: String =
            message.chars().filter(|shown| !shown.is_control()).take(800).collect();
        let last = !self.members.values().any(Member::is_active);
        self.reply(serial, &Reply::Failed { kind, message, last }, &[]);
    }
}
