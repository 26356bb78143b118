//! Being told when others remove Sandbar's table, or something of it.
//!
//! A firewall that is loaded anew (`nft -f` with `flush ruleset`, `systemctl reload nftables`, `firewall-cmd --reload`)
//! takes the table with it, and with that opens pods to the host's neighbours and closes published ports.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use netlink_packet_core::NetlinkBuffer;
use rustix::{io::Errno, net::RecvFlags};

use crate::{
    Error, ErrorKind, Result,
    netlink::{Socket, find},
    nftables::TABLE,
};

/// `NFNLGRP_NFTABLES`.
const GROUP: u32 = 7;
/// `NFNL_SUBSYS_NFTABLES`, the upper byte of a message's type, and its lower: `NFT_MSG_…`.
const SUBSYSTEM: u16 = 10;
const DELETED_TABLE: u16 = 2;
const DELETED_CHAIN: u16 = 5;
const DELETED_RULE: u16 = 8;
const DELETED_SET: u16 = 11;
const DELETED_ELEMENTS: u16 = 14;
const NEW_GENERATION: u16 = 15;
/// `NFPROTO_INET`, the first byte of `struct nfgenmsg`.
const FAMILY: u8 = 1;
const HEADER: usize = 4;
/// `NFTA_TABLE_NAME`, `NFTA_CHAIN_TABLE`, `NFTA_RULE_TABLE`, `NFTA_SET_TABLE`, `NFTA_SET_ELEM_LIST_TABLE`: all 1.
const TABLE_NAME: u16 = 1;
/// `NFTA_GEN_PROC_NAME`.
const PROGRAM: u16 = 3;

/// More than one notification has: the kernel fills pages with several.
const RECEIVE: usize = 64 * 1024;
/// How much is read of a storm at once; more waits for the next look.
const AT_ONCE: u32 = 256;

/// A subscription to the changes of the firewall, in the network namespace of the thread that opened it.
///
/// Its descriptor is readable when there is something for [`Watch::look`]. Every change by anyone makes it so,
/// those of other pods' ports included: in a process of which there are many, look at it some five times a second at
/// the most. What overflows the socket meanwhile costs nothing, and counts as a removal.
#[derive(Debug)]
pub struct Watch {
    socket: OwnedFd,
    buffer: Vec<u8>,
    /// Our own programs' names begin so.
    own: &'static [u8],
    removed: Removed,
}

/// What the transaction that is being read took away.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Removed {
    #[default]
    Nothing,
    Something,
}

impl Watch {
    /// What processes remove whose name (of the calling thread: `/proc/thread-self/comm`) begins with `own` is meant
    /// to be gone, and not told.
    ///
    /// # Errors
    /// `NoNftables` on a kernel without, `PermissionDenied`, `System`.
    pub fn open(own: &'static str) -> Result<Self> {
        const CALL: &str = "subscribe to nftables' notifications";
        let socket = Socket::netfilter().and_then(|mut socket| {
            socket.subscribe(GROUP)?;
            socket.duplicate()
        });
        let socket = socket.map_err(|error| {
            let is_missing = error.raw_os_error() == Some(Errno::PROTONOSUPPORT.raw_os_error());
            let error = Error::system(CALL, error);
            if is_missing { error.with_kind(ErrorKind::NoNftables) } else { error }
        })?;
        Ok(Self::from_socket(socket, own))
    }

    /// One that another process opened; what happened since then is not lost.
    #[must_use]
    pub fn from_socket(socket: OwnedFd, own: &'static str) -> Self {
        let buffer = vec![0; RECEIVE];
        Self { socket, buffer, own: own.as_bytes(), removed: Removed::Nothing }
    }

    /// The socket, for [`from_socket`](Self::from_socket) in another process.
    #[must_use]
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Reads what there is, without waiting: whether somebody else removed our table, or anything of it, since the
    /// last call. If so, [`put_back`](crate::put_back) is what to do.
    ///
    /// Also `true` when so much happened that some of it was lost.
    ///
    /// # Errors
    /// `System`.
    pub fn look(&mut self) -> Result<bool> {
        let mut is_removed = false;
        for _ in 0..AT_ONCE {
            match rustix::net::recv(&self.socket, &mut self.buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    let datagram = self.buffer.get(..length).unwrap_or_default();
                    is_removed |= read(datagram, &mut self.removed, self.own);
                }
                Err(Errno::NOBUFS) => is_removed = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => {
                    return Err(Error::system(
                        "read nftables' notifications",
                        io::Error::from(errno),
                    ));
                }
            }
        }
        Ok(is_removed)
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether a transaction ends in this datagram that removed something of ours, and was not our own. (Its changes
/// come first, and who made it last.)
fn read(mut datagram: &[u8], removed: &mut Removed, own: &[u8]) -> bool {
    let mut is_removed = false;
    while let Ok(message) = NetlinkBuffer::new_checked(datagram) {
        let payload = message.payload();
        let attributes = payload.get(HEADER..).unwrap_or_default();
        let kind = message.message_type();
        match (kind >> 8 == SUBSYSTEM).then_some(kind & 0xff) {
            Some(DELETED_TABLE | DELETED_CHAIN | DELETED_RULE | DELETED_SET | DELETED_ELEMENTS) => {
                let is_ours = payload.first() == Some(&FAMILY)
                    && find(attributes, TABLE_NAME).is_some_and(is_our_table);
                if is_ours {
                    *removed = Removed::Something;
                }
            }
            Some(NEW_GENERATION) => {
                let is_own = find(attributes, PROGRAM).is_some_and(|name| name.starts_with(own));
                is_removed |= std::mem::take(removed) == Removed::Something && !is_own;
            }
            _ => {}
        }
        let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    is_removed
}

fn is_our_table(name: &[u8]) -> bool {
    name.strip_suffix(b"\0").unwrap_or(name) == TABLE.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, family: u8, attribute: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend((SUBSYSTEM << 8 | kind).to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend([family, 0, 0, 0]);
        bytes.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
        bytes.extend(attribute.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    }

    fn told(messages: &[Vec<u8>]) -> bool {
        read(&messages.concat(), &mut Removed::Nothing, b"sandbar")
    }

    #[test]
    fn only_what_others_remove_of_our_table_is_told() {
        let ours = || message(DELETED_ELEMENTS, FAMILY, TABLE_NAME, b"sandbar\0");
        let by = |program: &[u8]| message(NEW_GENERATION, 0, PROGRAM, program);
        assert!(told(&[ours(), by(b"nft\0")]));
        assert!(!told(&[ours(), by(b"sandbar-supervi\0")]));
        assert!(!told(&[ours()]), "not before the transaction's end");
        assert!(!told(&[message(DELETED_TABLE, 2, TABLE_NAME, b"sandbar\0"), by(b"nft\0")]));
        assert!(!told(&[message(DELETED_TABLE, FAMILY, TABLE_NAME, b"filter\0"), by(b"nft\0")]));
        assert!(!told(&[message(12, FAMILY, TABLE_NAME, b"sandbar\0"), by(b"nft\0")]), "added");
        assert!(told(&[ours(), by(b"sandbar\0"), ours(), by(b"nft\0"), by(b"sandbar\0")]));
        assert!(!told(&[b"\x40\0\0\0\x02\x0a".to_vec()]), "mangled");
    }

    #[test]
    fn a_transaction_may_be_told_in_parts() {
        let mut removed = Removed::Nothing;
        let part = message(DELETED_RULE, FAMILY, TABLE_NAME, b"sandbar\0");
        assert!(!read(&part, &mut removed, b"sandbar"));
        assert!(read(&message(NEW_GENERATION, 0, PROGRAM, b"nft\0"), &mut removed, b"sandbar"));
        assert_eq!(removed, Removed::Nothing);
    }
}
