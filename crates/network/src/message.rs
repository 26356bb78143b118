//! The requests to rtnetlink(7) that more than one of the modules sends.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressMessage},
    link::{LinkFlags, LinkMessage},
    route::{
        RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope,
        RouteType,
    },
};
use rustix::io::Errno;

use crate::{
    Error, Result,
    netlink::{Answer, Outcome, Request, Socket},
};

/// A socket for links, addresses and routes.
pub(crate) fn open_route() -> Result<Socket> {
    Socket::route().map_err(|error| Error::system("socket(AF_NETLINK, NETLINK_ROUTE)", error))
}

/// One request and its outcome.
pub(crate) fn answer_of(
    socket: &mut Socket,
    request: Request<RouteNetlinkMessage>,
) -> std::io::Result<Outcome> {
    let outcomes = socket.exchange([request])?;
    Ok(outcomes.into_iter().next().unwrap_or_else(|| Err(Errno::PROTO.into())))
}

/// A request that fails with `EEXIST` where the same exists.
pub(crate) fn create(message: RouteNetlinkMessage) -> Request<RouteNetlinkMessage> {
    Request { message, flags: NLM_F_CREATE | NLM_F_EXCL, answer: Answer::Ack }
}

/// A request that changes what exists.
pub(crate) fn change(message: RouteNetlinkMessage) -> Request<RouteNetlinkMessage> {
    Request { message, flags: 0, answer: Answer::Ack }
}

/// Brings an interface up.
pub(crate) fn up(index: u32) -> Request<RouteNetlinkMessage> {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    change(RouteNetlinkMessage::SetLink(link))
}

/// `address`, with its subnet's prefix, for the interface of this index. An IPv6 address can be used at once: who has
/// it is known from the leases, so nobody else on the link is asked (RFC 4862, 5.4).
pub(crate) fn address(index: u32, address: IpAddr, prefix: u8) -> RouteNetlinkMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(address);
    message.header.prefix_len = prefix;
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(address), AddressAttribute::Address(address)];
    if address.is_ipv6() {
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    RouteNetlinkMessage::NewAddress(message)
}

/// The default route of `gateway`'s version of IP.
pub(crate) fn default_route(index: u32, gateway: IpAddr) -> RouteNetlinkMessage {
    let mut route = unicast(gateway);
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.attributes = vec![RouteAttribute::Gateway(to(gateway)), RouteAttribute::Oif(index)];
    RouteNetlinkMessage::NewRoute(route)
}

/// The removal of the default route of this version of IP, by whatever gateway.
pub(crate) fn no_default_route(family: IpAddr) -> RouteNetlinkMessage {
    let mut route = unicast(family);
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    RouteNetlinkMessage::DelRoute(route)
}

/// A route by which what comes in by this interface and is for `address` is the host's own, after `lo`'s.
pub(crate) fn local_route(index: u32, address: IpAddr) -> RouteNetlinkMessage {
    /// Behind all of the kernel's own. One more for each interface: of two IPv6 routes to one address with one metric
    /// the second is refused.
    const METRIC: u32 = 4096;
    /// `RT_TABLE_LOCAL`.
    const TABLE: u8 = 255;
    let mut route = unicast(address);
    route.header.table = TABLE;
    route.header.kind = RouteType::Local;
    route.header.destination_prefix_length = if address.is_ipv6() { 128 } else { 32 };
    route.attributes = vec![
        RouteAttribute::Destination(to(address)),
        RouteAttribute::Oif(index),
        RouteAttribute::Priority(METRIC.saturating_add(index)),
    ];
    RouteNetlinkMessage::NewRoute(route)
}

/// An address in a route.
pub(crate) fn to(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

/// `AF_INET` or `AF_INET6`.
pub(crate) fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet }
}

fn unicast(address: IpAddr) -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header.address_family = family(address);
    route.header.protocol = RouteProtocol::Boot;
    route.header.scope = RouteScope::Universe;
    route.header.kind = RouteType::Unicast;
    route
}
