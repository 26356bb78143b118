//! Being told when others change Sandbar's table, or Docker's chain that has rules of ours.
//!
//! A firewall that is loaded anew (`nft -f` with `flush ruleset`, `systemctl reload nftables`, `firewall-cmd --reload`)
//! takes the table with it, and with that opens pods to the host's neighbours and closes published ports.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use netlink_packet_core::NetlinkBuffer;
use rustix::{buffer::spare_capacity, io::Errno, net::RecvFlags};

use crate::{
    Error, ErrorKind, Result,
    netlink::{Socket, find},
    nftables::{DOCKER_TABLE, DOCKER_USER, TABLE},
};

/// `NFNLGRP_NFTABLES`.
const GROUP: u32 = 7;
/// `NFNL_SUBSYS_NFTABLES`, the upper byte of a message's type, and its lower: `NFT_MSG_…`.
const SUBSYSTEM: u16 = 10;
const NEW_CHAIN: u16 = 3;
const DELETED_RULE: u16 = 8;
const NEW_GENERATION: u16 = 15;
/// `NFPROTO_INET`, `NFPROTO_IPV4`, `NFPROTO_IPV6`, the first byte of `struct nfgenmsg`.
const FAMILY: u8 = 1;
const FAMILY_4: u8 = 2;
const FAMILY_6: u8 = 10;
const HEADER: usize = 4;
/// `NFTA_TABLE_NAME`, `NFTA_CHAIN_TABLE`, `NFTA_RULE_TABLE`, `NFTA_SET_TABLE` and so on: all 1.
const TABLE_NAME: u16 = 1;
/// `NFTA_CHAIN_NAME`, `NFTA_RULE_CHAIN`.
const CHAIN_NAME: u16 = 3;
const CHAIN_OF_RULE: u16 = 2;
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
/// the most. What overflows the socket meanwhile costs nothing, and counts as a change.
#[derive(Debug)]
pub struct Watch {
    socket: OwnedFd,
    /// Our own programs' names begin so.
    own: &'static [u8],
    changed: Changed,
}

/// What the transaction that is being read changed of ours.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Changed {
    #[default]
    Nothing,
    Something,
}

impl Watch {
    /// What processes change whose name (of the calling thread: `/proc/thread-self/comm`) begins with `own` is meant
    /// to be so, and not told.
    ///
    /// # Errors
    /// `NoNftables` on a kernel without, `PermissionDenied`, `System`.
    pub fn open(own: &'static str) -> Result<Self> {
        const CALL: &str = "subscribe to nftables' notifications";
        let socket = Socket::netfilter().and_then(|mut socket| {
            socket.subscribe(&[GROUP])?;
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
        Self { socket, own: own.as_bytes(), changed: Changed::Nothing }
    }

    /// The socket, for [`from_socket`](Self::from_socket) in another process.
    #[must_use]
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Reads what there is, without waiting: whether somebody else changed anything of our table, or made Docker's chain
    /// `DOCKER-USER` or removed a rule of it, since the last call. If so, [`put_back`](crate::put_back) is what to do.
    ///
    /// Also `true` when so much happened that some of it was lost.
    ///
    /// # Errors
    /// `System`.
    pub fn look(&mut self) -> Result<bool> {
        let mut is_changed = false;
        // Not kept: who watches for hours looks seldom.
        let mut datagram = Vec::with_capacity(RECEIVE);
        for _ in 0..AT_ONCE {
            datagram.clear();
            let buffer = spare_capacity(&mut datagram);
            match rustix::net::recv(&self.socket, buffer, RecvFlags::DONTWAIT) {
                Ok(_) => is_changed |= read(&datagram, &mut self.changed, self.own),
                Err(Errno::NOBUFS) => is_changed = true,
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
        Ok(is_changed)
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether a transaction ends in this datagram that changed something of ours, and was not our own. (Its changes
/// come first, and who made it last.)
fn read(mut datagram: &[u8], changed: &mut Changed, own: &[u8]) -> bool {
    let mut is_changed = false;
    while let Ok(message) = NetlinkBuffer::new_checked(datagram) {
        let kind = message.message_type();
        if kind == SUBSYSTEM << 8 | NEW_GENERATION {
            let attributes = message.payload().get(HEADER..).unwrap_or_default();
            let is_own = find(attributes, PROGRAM).is_some_and(|name| name.starts_with(own));
            is_changed |= std::mem::take(changed) == Changed::Something && !is_own;
        } else if kind >> 8 == SUBSYSTEM && concerns_us(kind & 0xff, message.payload()) {
            *changed = Changed::Something;
        }
        let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    is_changed
}

/// Whether this is a change of our table, or one after which rules of ours lack in Docker's chain.
fn concerns_us(kind: u16, payload: &[u8]) -> bool {
    let Some((family, attributes)) = payload.first().zip(payload.get(HEADER..)) else {
        return false;
    };
    let is = |attribute: u16, name: &str| {
        let found = find(attributes, attribute).unwrap_or_default();
        found.strip_suffix(b"\0").unwrap_or(found) == name.as_bytes()
    };
    match (*family, kind) {
        (FAMILY, _) => is(TABLE_NAME, TABLE),
        (FAMILY_4 | FAMILY_6, NEW_CHAIN) => {
            is(TABLE_NAME, DOCKER_TABLE) && is(CHAIN_NAME, DOCKER_USER)
        }
        (FAMILY_4 | FAMILY_6, DELETED_RULE) => {
            is(TABLE_NAME, DOCKER_TABLE) && is(CHAIN_OF_RULE, DOCKER_USER)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELETED_ELEMENTS: u16 = 14;

    fn message(kind: u16, family: u8, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend((SUBSYSTEM << 8 | kind).to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend([family, 0, 0, 0]);
        for (attribute, value) in attributes {
            bytes.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
            bytes.extend(attribute.to_ne_bytes());
            bytes.extend(*value);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let length = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    }

    fn told(messages: &[Vec<u8>]) -> bool {
        read(&messages.concat(), &mut Changed::Nothing, b"sandbar")
    }

    fn by(program: &[u8]) -> Vec<u8> {
        message(NEW_GENERATION, 0, &[(PROGRAM, program)])
    }

    #[test]
    fn whatever_others_change_of_our_table_is_told() {
        let of = |kind, family, table: &[u8]| message(kind, family, &[(TABLE_NAME, table)]);
        let ours = || of(DELETED_ELEMENTS, FAMILY, b"sandbar\0");
        assert!(told(&[ours(), by(b"nft\0")]));
        assert!(!told(&[ours(), by(b"sandbar-supervi\0")]));
        assert!(!told(&[ours()]), "not before the transaction's end");
        for kind in 0..15 {
            assert!(told(&[of(kind, FAMILY, b"sandbar\0"), by(b"nft\0")]), "{kind}");
            assert!(!told(&[of(kind, FAMILY_4, b"sandbar\0"), by(b"nft\0")]), "{kind}");
            assert!(!told(&[of(kind, FAMILY, b"filter\0"), by(b"nft\0")]), "{kind}");
        }
        assert!(told(&[ours(), by(b"sandbar\0"), ours(), by(b"nft\0"), by(b"sandbar\0")]));
        assert!(!told(&[b"\x40\0\0\0\x02\x0a".to_vec()]), "mangled");
    }

    #[test]
    fn dockers_chain_is_told_when_it_is_made_and_when_rules_go() {
        let made = |family, table: &[u8], chain: &[u8]| {
            let made = message(NEW_CHAIN, family, &[(TABLE_NAME, table), (CHAIN_NAME, chain)]);
            told(&[made, by(b"iptables\0")])
        };
        assert!(made(FAMILY_4, b"filter\0", b"DOCKER-USER\0"));
        assert!(made(FAMILY_6, b"filter\0", b"DOCKER-USER\0"));
        assert!(!made(FAMILY_4, b"filter\0", b"DOCKER\0"));
        assert!(!made(FAMILY_4, b"nat\0", b"DOCKER-USER\0"));
        let rule = |kind| {
            let names: [(u16, &[u8]); 2] =
                [(TABLE_NAME, b"filter\0"), (CHAIN_OF_RULE, b"DOCKER-USER\0")];
            told(&[message(kind, FAMILY_4, &names), by(b"iptables\0")])
        };
        assert!(rule(DELETED_RULE) && !rule(6), "a rule more is not");
    }

    #[test]
    fn a_transaction_may_be_told_in_parts() {
        let mut changed = Changed::Nothing;
        let part = message(DELETED_RULE, FAMILY, &[(TABLE_NAME, b"sandbar\0")]);
        assert!(!read(&part, &mut changed, b"sandbar"));
        assert!(read(&by(b"nft\0"), &mut changed, b"sandbar"));
        assert_eq!(changed, Changed::Nothing);
    }
}
