//! The bridge that pods are on.

use std::net::Ipv4Addr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
    link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
    route::{RouteAddress, RouteAttribute, RouteFlags, RouteMessage},
};
use rustix::{io::Errno, net::netdevice::name_to_index};

use crate::{
    Error, ErrorKind, InterfaceName, Lingering, MacAddress, Result, Subnet,
    netlink::{Answer, Outcome, Request, Socket, bytes_at, find, u32_of},
    nftables::{self, Nftables},
    overlap, sysctl,
};

/// `IFLA_LINKINFO` and its `IFLA_INFO_KIND`.
const LINK_INFO: u16 = 18;
const INFO_KIND: u16 = 1;
/// `IFLA_AF_SPEC`, in it `AF_INET`, in that `IFLA_INET_CONF`: the interface's settings, in the order of the
/// `IPV4_DEVCONF_…` of `linux/ip.h`, which count from 1.
const FAMILIES: u16 = 26;
const FAMILY_INET: u16 = 2;
const INET_SETTINGS: u16 = 1;
const FORWARDING: usize = 1;
const ROUTE_LOCALNET: usize = 26;
/// `RTA_OIF`, and `RTN_LOCAL` in the eighth byte of `struct rtmsg`.
const ROUTE_INTERFACE: u16 = 4;
const ROUTE_LOCAL: u8 = 2;

/// A bridge of the host and the subnet of the pods on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    name: InterfaceName,
    subnet: Subnet,
}

/// `sandbar0`, 10.84.0.0/16.
impl Default for Bridge {
    fn default() -> Self {
        Self::new(InterfaceName::from_static("sandbar0"), Subnet::DEFAULT)
    }
}

impl Bridge {
    /// A bridge that may or may not exist yet.
    #[must_use]
    pub fn new(name: InterfaceName, subnet: Subnet) -> Self {
        Self { name, subnet }
    }

    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &InterfaceName {
        &self.name
    }

    /// The subnet of the bridge's pods.
    #[must_use]
    pub fn subnet(&self) -> Subnet {
        self.subnet
    }

    /// The bridge's own address, through which pods reach everything else.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        self.subnet.gateway()
    }

    /// Makes everything that pods on this bridge need of the host, as far as it is missing:
    ///
    /// - the nftables table `ip sandbar`: what leaves the subnet gets the host's address, 127.0.0.0/8 stays closed
    ///   to all but the host itself, and published ports have their maps;
    /// - `net.ipv4.ip_forward`, without which the host is no router;
    /// - the bridge with its address, up, and with `route_localnet`, so that 127.0.0.1 can lead to a pod.
    ///
    /// Where all is there this is two round trips to the kernel. Any number of processes may call it at once.
    ///
    /// # Errors
    /// `SubnetTaken` when the subnet overlaps a route or address of another interface, `InterfaceTaken` when the
    /// name is that of something else than a bridge; `NoNftables`, `NoBridge`, `PermissionDenied`, `System`.
    pub fn ensure(&self) -> Result<Lingering> {
        let mut route = open_route()?;
        let mut nftables = Nftables::open()?;
        let is_ruled = nftables::is_in_place(&mut nftables, &self.name, self.subnet)?;
        let state = self.inspect(&mut route)?;
        if !is_ruled {
            // Checked first: what is refused should leave nothing behind.
            overlap::check(&mut route, self.subnet, &self.name)?;
            nftables::put_in_place(&mut nftables, &self.name, self.subnet)?;
        }
        // Only now: `route_localnet` is safe behind the table's rules alone.
        match state {
            State::Complete => {}
            State::Incomplete => self.complete(&mut route)?,
            State::Missing => {
                overlap::check(&mut route, self.subnet, &self.name)?;
                self.create(&mut route)?;
                self.complete(&mut route)?;
            }
        }
        Ok(nftables.linger())
    }

    /// The interface's index.
    pub(crate) fn index(&self, socket: &Socket) -> Result<u32> {
        name_to_index(socket, self.name.as_str()).map_err(|errno| {
            let error = Error::system(format!("look up interface {}", self.name), errno);
            if errno == Errno::NODEV { error.with_kind(ErrorKind::NotReady) } else { error }
        })
    }

    fn complete(&self, route: &mut Socket) -> Result<()> {
        let name = self.name.as_str();
        let index = self.index(route)?;
        sysctl::enable(&format!("ipv4/conf/{name}/route_localnet"))?;
        sysctl::disable_ipv6(name)?;
        self.give_address(route, index)?;
        sysctl::enable("ipv4/ip_forward")?;
        // Forwarding is a setting of every interface, and one made while another process wrote `ip_forward` may
        // have missed it.
        sysctl::enable(&format!("ipv4/conf/{name}/forwarding"))?;
        self.bring_up(route, index)
    }

    fn create(&self, route: &mut Socket) -> Result<()> {
        let mut link = LinkMessage::default();
        link.attributes = vec![
            LinkAttribute::IfName(self.name.to_string()),
            // Left to itself, a bridge changes its address with the pods that come and go.
            LinkAttribute::Address(MacAddress::of(self.gateway()).octets().to_vec()),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]),
        ];
        let call = format!("create bridge {}", self.name);
        let request = create(RouteNetlinkMessage::NewLink(link));
        match answer_of(route, request).map_err(|error| Error::system(&call, error))? {
            Ok(_) => Ok(()),
            Err(refusal) => match refusal.errno() {
                Errno::EXIST => Ok(()), // another process was faster
                Errno::OPNOTSUPP => {
                    Err(Error::refused(call, refusal).with_kind(ErrorKind::NoBridge))
                }
                _ => Err(Error::refused(call, refusal)),
            },
        }
    }

    fn give_address(&self, route: &mut Socket, index: u32) -> Result<()> {
        let request = create(address_message(index, self.gateway(), self.subnet));
        let call = format!("give {} the address {}", self.name, self.gateway());
        match answer_of(route, request).map_err(|error| Error::system(&call, error))? {
            Err(refusal) if refusal.errno() != Errno::EXIST => Err(Error::refused(call, refusal)),
            _ => Ok(()),
        }
    }

    fn bring_up(&self, route: &mut Socket, index: u32) -> Result<()> {
        let call = format!("bring {} up", self.name);
        answer_of(route, up(index))
            .map_err(|error| Error::system(&call, error))?
            .map_err(|refusal| Error::refused(call, refusal))
            .map(drop)
    }

    /// Asks for the link with its settings, and for what the gateway's address belongs to.
    fn inspect(&self, socket: &mut Socket) -> Result<State> {
        let mut link = LinkMessage::default();
        link.attributes = vec![LinkAttribute::IfName(self.name.to_string())];
        let mut route = RouteMessage::default();
        route.header.address_family = AddressFamily::Inet;
        route.header.destination_prefix_length = 32;
        route.header.flags = RouteFlags::FibMatch;
        route.attributes = vec![RouteAttribute::Destination(RouteAddress::Inet(self.gateway()))];
        let questions = [RouteNetlinkMessage::GetLink(link), RouteNetlinkMessage::GetRoute(route)];
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
        let route = answers.next().and_then(Outcome::ok).unwrap_or_default().concat();
        self.read(&link, &route).ok_or_else(|| {
            Error::new(
                ErrorKind::InterfaceTaken,
                format!("{} is an interface of the host, but not a bridge", self.name),
            )
        })
    }

    /// `None` when the link is no bridge.
    fn read(&self, link: &[u8], route: &[u8]) -> Option<State> {
        let index = u32::from_ne_bytes(bytes_at(link, 4)?);
        let flags = LinkFlags::from_bits_retain(u32::from_ne_bytes(bytes_at(link, 8)?));
        let attributes = link.get(16..)?;
        let kind = find(find(attributes, LINK_INFO)?, INFO_KIND)?;
        if kind.strip_suffix(b"\0").unwrap_or(kind) != b"bridge" {
            return None;
        }
        let settings = find(attributes, FAMILIES)
            .and_then(|families| find(families, FAMILY_INET))
            .and_then(|family| find(family, INET_SETTINGS))
            .unwrap_or_default();
        let is_set = |setting: usize| {
            bytes_at(settings, (setting - 1) * 4).map(u32::from_ne_bytes).is_some_and(|v| v != 0)
        };
        let is_addressed = route.get(7) == Some(&ROUTE_LOCAL)
            && u32_of(route.get(12..).unwrap_or_default(), ROUTE_INTERFACE) == Some(index);
        let is_complete = flags.contains(LinkFlags::Up)
            && is_set(FORWARDING)
            && is_set(ROUTE_LOCALNET)
            && is_addressed;
        Some(if is_complete { State::Complete } else { State::Incomplete })
    }
}

/// How much of a bridge there is.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Missing,
    Incomplete,
    Complete,
}

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

/// Brings an interface up.
pub(crate) fn up(index: u32) -> Request<RouteNetlinkMessage> {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    Request { message: RouteNetlinkMessage::SetLink(link), flags: 0, answer: Answer::Ack }
}

/// `address`, with the subnet's prefix, for the interface of this index.
pub(crate) fn address_message(
    index: u32,
    address: Ipv4Addr,
    subnet: Subnet,
) -> RouteNetlinkMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = subnet.prefix();
    message.header.index = index;
    message.attributes =
        vec![AddressAttribute::Local(address.into()), AddressAttribute::Address(address.into())];
    RouteNetlinkMessage::NewAddress(message)
}
