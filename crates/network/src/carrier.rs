//! Waiting until an interface that was just brought up really carries packets.
//!
//! An interface whose other end comes up gets its queue from a kernel worker, a little later (*linkwatch*). What is
//! sent before is lost, and a TCP client or an ARP request tries again only after a second.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage},
};

use crate::{
    Error, InterfaceName, Result,
    netlink::{Answer, Request, Socket, find},
};

/// `IFLA_OPERSTATE` and its `IF_OPER_UP` (RFC 2863).
const STATE: u16 = 16;
const UP: u8 = 6;
/// Of `struct ifinfomsg`.
const HEADER: usize = 16;

/// Far above what the worker takes; past it the pod is better started than not.
const PATIENCE: Duration = Duration::from_millis(50);

/// Waits for the interfaces' carriers, in this order (a bridge has its own from its ports).
///
/// From Linux 6.8 on the question itself makes the kernel do the worker's work at once.
pub(crate) fn await_carrier(socket: &mut Socket, names: [&InterfaceName; 2]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !all_up(socket, names)? && Instant::now() < deadline {
        sleep(Duration::from_micros(200));
    }
    Ok(())
}

fn all_up(socket: &mut Socket, names: [&InterfaceName; 2]) -> Result<bool> {
    let questions = names.map(|name| {
        let mut link = LinkMessage::default();
        link.attributes = vec![LinkAttribute::IfName(name.to_string())];
        Request { message: RouteNetlinkMessage::GetLink(link), flags: 0, answer: Answer::One }
    });
    let call = || format!("look up interfaces {} and {}", names[0], names[1]);
    let mut all = true;
    for outcome in socket.exchange(questions).map_err(|error| Error::system(call(), error))? {
        let link = outcome.map_err(|refusal| Error::refused(call(), refusal))?.concat();
        all &= link.get(HEADER..).and_then(|attributes| find(attributes, STATE)) == Some(&[UP]);
    }
    Ok(all)
}
