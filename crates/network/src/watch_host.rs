//! Being told when pods may have been cut off by what became of the host: a bridge is deleted, which lets go of the
//! pods that are on it, or the host is made no router any longer.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{io::Errno, net::RecvFlags};
use sandbar_sys::{FilterInstruction, attach_socket_filter};

use crate::{Error, Result, netlink::Socket};

/// `RTNLGRP_LINK`, of whatever happens to any interface, `RTNLGRP_IPV4_NETCONF` and `RTNLGRP_IPV6_NETCONF`, of some
/// of the settings below `/proc/sys/net/ipv{4,6}/conf`.
const GROUPS: [u32; 3] = [1, 24, 25];
/// `RTM_DELLINK` and `RTM_NEWNETCONF`, and where a message's type is.
const DELETED_LINK: u16 = 17;
const NEW_SETTING: u16 = 80;
const TYPE: u32 = 4;
/// Where the attributes begin: after `struct nlmsghdr`, and `struct ifinfomsg` or `struct netconfmsg`.
const ATTRIBUTES: u32 = 32;
const SETTINGS: u32 = 20;
/// `IFLA_LINKINFO` and its `IFLA_INFO_KIND`; an attribute's value comes after its length and type.
const LINK_INFO: u32 = 18;
const INFO_KIND: u32 = 1;
const VALUE: u32 = 4;
/// `NETCONFA_IFINDEX`, of which `NETCONFA_IFINDEX_ALL` stands for `conf/all`, and `NETCONFA_FORWARDING`
/// (`linux/netconf.h`).
const INTERFACE: u32 = 1;
const ALL: u32 = u32::MAX;
const FORWARDING: u32 = 2;
/// How much is read at once; more waits for the next look.
const AT_ONCE: u32 = 256;

/// A subscription to the end of bridges and of the host's forwarding, in the network namespace of the thread that
/// opened it.
///
/// Interfaces of pods come and go all the time, and a machine has as many of these as pods: the kernel itself drops
/// what is told of anything else, and wakes nobody for it. So it does with one interface's forwarding: a change of
/// `net.ipv4.ip_forward` tells of every interface.
#[derive(Debug)]
pub struct HostWatch(OwnedFd);

impl HostWatch {
    /// # Errors
    /// `System`.
    pub fn open() -> Result<Self> {
        let socket = Socket::route().and_then(|mut socket| {
            // Before anything can come.
            attach_socket_filter(socket.as_fd(), &filter())?;
            socket.subscribe(&GROUPS)?;
            socket.duplicate()
        });
        socket.map(Self).map_err(|error| {
            Error::system("subscribe to the end of bridges and of forwarding", error)
        })
    }

    /// One that another process opened; what happened since then is not lost.
    #[must_use]
    pub fn from_socket(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// The socket, for [`from_socket`](Self::from_socket) in another process.
    #[must_use]
    pub fn into_socket(self) -> OwnedFd {
        self.0
    }

    /// Reads what there is, without waiting: whether any bridge was deleted, or forwarding turned off, since the last
    /// call. Also `true` when so much happened that some of it was lost. [`is_plugged`](crate::is_plugged) tells whether
    /// it was a pod's bridge, [`Bridge::is_served`](crate::Bridge::is_served) whether one needs forwarding.
    ///
    /// # Errors
    /// `System`.
    pub fn look(&mut self) -> Result<bool> {
        let mut is_told = false;
        for _ in 0..AT_ONCE {
            match rustix::net::recv(&self.0, &mut [0; 16], RecvFlags::DONTWAIT) {
                Ok(_) | Err(Errno::NOBUFS) => is_told = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => {
                    let error = io::Error::from(errno);
                    return Err(Error::system(
                        "read notifications of interfaces and settings",
                        error,
                    ));
                }
            }
        }
        Ok(is_told)
    }
}

impl AsFd for HostWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Lets through the deletion of an interface whose kind begins with `brid`, and that `conf/all/forwarding` is off
/// (`ip_forward` is another name of it): the kernel looks for attributes by itself (`SKF_AD_NLATTR`,
/// `linux/filter.h`).
fn filter() -> [FilterInstruction; 29] {
    const LOAD_HALF: u16 = 0x28;
    const LOAD_WORD: u16 = 0x20;
    const LOAD_AT_X: u16 = 0x40;
    const SET_A: u16 = 0x00;
    const SET_X: u16 = 0x01;
    const A_TO_X: u16 = 0x07;
    const IS: u16 = 0x15;
    const RETURN: u16 = 0x06;
    /// `SKF_AD_OFF + SKF_AD_NLATTR`, and `SKF_AD_NLATTR_NEST`: A is where to look and X what for; A becomes where it
    /// is, or zero.
    const FIND: u32 = 0xffff_f00c;
    const FIND_WITHIN: u32 = 0xffff_f010;
    let then = |code, k| FilterInstruction { code, jt: 0, jf: 0, k };
    // Each is away from the instruction after it: most are from the last, which refuses.
    let unless = |k, away| FilterInstruction { code: IS, jt: 0, jf: away, k };
    let when = |k, away| FilterInstruction { code: IS, jt: away, jf: 0, k };
    // It loads numbers as the network writes them; a message's type is as this machine does.
    let kind = |kind: u16| u32::from(u16::from_be_bytes(kind.to_ne_bytes()));
    [
        then(LOAD_HALF, TYPE),
        when(kind(NEW_SETTING), 11),
        unless(kind(DELETED_LINK), 25),
        then(SET_A, ATTRIBUTES),
        then(SET_X, LINK_INFO),
        then(LOAD_WORD, FIND),
        when(0, 21),
        then(SET_X, INFO_KIND),
        then(LOAD_WORD, FIND_WITHIN),
        when(0, 18),
        then(A_TO_X, 0),
        then(LOAD_AT_X, VALUE),
        FilterInstruction { code: IS, jt: 14, jf: 15, k: u32::from_be_bytes(*b"brid") },
        // Of a setting.
        then(SET_A, SETTINGS),
        then(SET_X, INTERFACE),
        then(LOAD_WORD, FIND),
        when(0, 11),
        then(A_TO_X, 0),
        then(LOAD_AT_X, VALUE),
        unless(ALL, 8),
        then(SET_A, SETTINGS),
        then(SET_X, FORWARDING),
        then(LOAD_WORD, FIND),
        when(0, 4),
        then(A_TO_X, 0),
        then(LOAD_AT_X, VALUE),
        unless(0, 1),
        then(RETURN, u32::MAX),
        then(RETURN, 0),
    ]
}
