//! How much of a bridge there is.

use std::net::IpAddr;

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkFlags, LinkMessage},
    route::{RouteAttribute, RouteFlags, RouteMessage},
};
use rustix::io::Errno;

use super::{Access, Bridge};
use crate::{
    Error, ErrorKind, MacAddress, Result,
    message::{family, to},
    netlink::{Answer, Outcome, Request, Socket, bytes_at, find, u32_of},
};

/// `IFLA_ADDRESS`, `IFLA_MTU`, `IFLA_LINKINFO` and its `IFLA_INFO_KIND`.
const ADDRESS: u16 = 1;
const MTU: u16 = 4;
const LINK_INFO: u16 = 18;
const INFO_KIND: u16 = 1;
/// `IFLA_AF_SPEC`, in it `AF_INET`, in that `IFLA_INET_CONF`: the interface's settings, in the order of the
/// `IPV4_DEVCONF_…` of `linux/ip.h`, which count from 1.
const FAMILIES: u16 = 26;
const FAMILY_INET: u16 = 2;
const INET_SETTINGS: u16 = 1;
const FORWARDING: usize = 0;
const ROUTE_LOCALNET: usize = 25;
/// Likewise `AF_INET6`, `IFLA_INET6_CONF` and the `DEVCONF_…` of `linux/ipv6.h`, which count from 0.
const FAMILY_INET6: u16 = 10;
const INET6_SETTINGS: u16 = 2;
const FORWARDING_6: usize = 0;
const ACCEPT_RA: usize = 3;
const DISABLE_IPV6: usize = 26;
/// `RTA_OIF`, and `RTN_LOCAL` in the eighth byte of `struct rtmsg`.
const ROUTE_INTERFACE: u16 = 4;
const ROUTE_LOCAL: u8 = 2;

/// How much of a bridge there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    Missing,
    Incomplete,
    Complete,
}

impl Bridge {
    /// Asks for the link with its settings, and for what the gateways' addresses belong to.
    pub(super) fn inspect(&self, socket: &mut Socket) -> Result<State> {
        let mut link = LinkMessage::default();
        link.attributes = vec![LinkAttribute::IfName(self.name.to_string())];
        let gateways =
            [Some(IpAddr::V4(self.gateway)), self.ipv6.map(|(_, gateway)| IpAddr::V6(gateway))];
        let routes = gateways.into_iter().flatten().map(route_to);
        let questions = [RouteNetlinkMessage::GetLink(link)].into_iter().chain(routes);
        let call = format!("look up interface {}", self.name);
        let answers = socket
            .exchange(questions.map(|message| Request { message, flags: 0, answer: Answer::One }))
            .map_err(|error| Error::system(&call, error))?;
        let mut answers = answers.into_iter();
        let link = match answers.next().unwrap_or_else(|| Err(Errno::PROTO.into())) {
            Ok(messages) => messages.concat(),
            Err(refusal) if refusal.errno() == Errno::NODEV => return Ok(State::Missing),
            Err(refusal) => return Err(Error::refused(call, refusal)),
        };
        // Without any route to the gateway (ENETUNREACH) the bridge has no address yet.
        let routes: Vec<_> =
            answers.map(|it| Outcome::ok(it).unwrap_or_default().concat()).collect();
        self.read(&link, &routes).ok_or_else(|| {
            Error::new(
                ErrorKind::InterfaceTaken,
                format!("{} is an interface of the host, but not a bridge of Sandbar's", self.name),
            )
        })
    }

    /// `None` when the link is no bridge, or none that [`Bridge::create`] made.
    fn read(&self, link: &[u8], routes: &[Vec<u8>]) -> Option<State> {
        let index = u32::from_ne_bytes(bytes_at(link, 4)?);
        let flags = LinkFlags::from_bits_retain(u32::from_ne_bytes(bytes_at(link, 8)?));
        let attributes = link.get(16..)?;
        let kind = find(find(attributes, LINK_INFO)?, INFO_KIND)?;
        let is_bridge = kind.strip_suffix(b"\0").unwrap_or(kind) == b"bridge";
        if !is_bridge || !MacAddress::is_ours(find(attributes, ADDRESS)?) {
            return None;
        }
        let settings = |family, settings| {
            find(attributes, FAMILIES)
                .and_then(|families| find(families, family))
                .and_then(|family| find(family, settings))
                .unwrap_or_default()
        };
        let (v4, v6) =
            (settings(FAMILY_INET, INET_SETTINGS), settings(FAMILY_INET6, INET6_SETTINGS));
        let is_set = |settings: &[u8], setting: usize| {
            bytes_at(settings, setting * 4).map(u32::from_ne_bytes).is_some_and(|v| v != 0)
        };
        let is_internal = self.access == Access::Internal;
        let is_addressed = routes.iter().all(|route| {
            route.get(7) == Some(&ROUTE_LOCAL)
                && u32_of(route.get(12..).unwrap_or_default(), ROUTE_INTERFACE) == Some(index)
        });
        let is_right_for_ipv6 = self.ipv6.is_none()
            || ((is_internal || is_set(v6, FORWARDING_6))
                && !v6.is_empty()
                && !is_set(v6, ACCEPT_RA)
                && !is_set(v6, DISABLE_IPV6));
        let is_complete = flags.contains(LinkFlags::Up)
            && (is_internal || is_set(v4, FORWARDING))
            && is_set(v4, ROUTE_LOCALNET)
            && is_right_for_ipv6
            && self.mtu.is_none_or(|mtu| u32_of(attributes, MTU) == Some(mtu))
            && is_addressed;
        Some(if is_complete { State::Complete } else { State::Incomplete })
    }
}

/// The question which route leads to an address.
fn route_to(address: IpAddr) -> RouteNetlinkMessage {
    let mut route = RouteMessage::default();
    route.header.address_family = family(address);
    route.header.destination_prefix_length = if address.is_ipv6() { 128 } else { 32 };
    route.header.flags = RouteFlags::FibMatch;
    route.attributes = vec![RouteAttribute::Destination(to(address))];
    RouteNetlinkMessage::GetRoute(route)
}
