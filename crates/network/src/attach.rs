//! Pods onto the bridge, and off it.

use std::{
    net::Ipv4Addr,
    os::fd::{AsRawFd, BorrowedFd},
};

use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{
        InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute,
        LinkFlags, LinkInfo, LinkMessage,
    },
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType},
};
use rustix::{io::Errno, net::netdevice::name_to_index};

use crate::{
    Bridge, Error, ErrorKind, InterfaceName, MacAddress, Result,
    bridge::{address_message, answer_of, create, open_route, up},
    carrier::await_carrier,
    inside::inside,
    netlink::{Answer, Request, Socket},
    sysctl,
};

/// The pod's end of the pair, by the name that every container runtime gives it.
const IN_POD: &str = "eth0";
/// The loopback interface's index, the same in every network namespace.
const LOOPBACK: u32 = 1;

/// A pod that is on the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attached {
    /// The Ethernet address of the pod's `eth0`; it follows from the IPv4 address.
    pub mac: MacAddress,
}

/// Brings the loopback interface of a network namespace up, which is all that a pod without network needs.
///
/// # Errors
/// `PermissionDenied`, `System`.
pub fn bring_up_loopback(netns: BorrowedFd<'_>) -> Result<()> {
    inside(netns, || {
        const CALL: &str = "bring lo up";
        answer_of(&mut open_route()?, up(LOOPBACK))
            .map_err(|error| Error::system(CALL, error))?
            .map_err(|refusal| Error::refused(CALL, refusal))
            .map(drop)
    })
}

/// Puts a pod on the bridge: a veth pair, its one end `host_interface` on the bridge, the other `eth0` in `netns`
/// with `address` and the default route; the namespace's `lo` is brought up, too.
///
/// A failure leaves nothing behind.
///
/// # Errors
/// `NotReady` without the bridge, `InterfaceTaken` when either end's name is in use, `InvalidInput` for an address
/// that is not one of the subnet's for pods; `NoVeth`, `PermissionDenied`, `System`.
pub fn attach(
    bridge: &Bridge,
    netns: BorrowedFd<'_>,
    host_interface: &InterfaceName,
    address: Ipv4Addr,
) -> Result<Attached> {
    if !bridge.subnet().is_for_pods(address) {
        let subnet = bridge.subnet();
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("attach {host_interface}: {address} is not an address for pods in {subnet}"),
        ));
    }
    let mut host = open_route()?;
    let mac = MacAddress::of(address);
    let pair = Pair { bridge_index: bridge.index(&host)?, netns, host_interface, mac };
    let set_up = inside(netns, || {
        // Before eth0 exists: see `sysctl`.
        sysctl::disable_ipv6_of_new_interfaces()?;
        pair.create(&mut host)?;
        let set_up = pair
            .reflect(&mut host)
            .and_then(|()| set_up_pod(bridge, host_interface, address))
            .and_then(|()| await_carrier(&mut host, [host_interface, bridge.name()]));
        if set_up.is_err() {
            // What matters to the caller is why; an interface that can't be removed now, `detach` finds by its name.
            _ = remove(&mut host, host_interface);
        }
        set_up
    });
    set_up.map(|()| Attached { mac })
}

/// Removes a pod's veth pair by its end in the host; no such interface is no error.
///
/// The kernel does the same, a little later, when a pod's network namespace ends.
///
/// # Errors
/// `PermissionDenied`, `System`.
pub fn detach(host_interface: &InterfaceName) -> Result<()> {
    remove(&mut open_route()?, host_interface)
}

/// A veth pair to be.
struct Pair<'a> {
    bridge_index: u32,
    netns: BorrowedFd<'a>,
    host_interface: &'a InterfaceName,
    mac: MacAddress,
}

impl Pair<'_> {
    /// Creates both ends where they belong with one message. The pod's end stays down until it is set up.
    fn create(&self, host: &mut Socket) -> Result<()> {
        let mut peer = LinkMessage::default();
        peer.attributes = vec![
            LinkAttribute::IfName(IN_POD.to_owned()),
            LinkAttribute::Address(self.mac.octets().to_vec()),
            LinkAttribute::NetNsFd(self.netns.as_raw_fd()),
        ];
        let mut link = LinkMessage::default();
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        link.attributes = vec![
            LinkAttribute::IfName(self.host_interface.to_string()),
            LinkAttribute::Controller(self.bridge_index),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]),
        ];
        let call = format!("create veth {} with {IN_POD} in a pod", self.host_interface);
        let outcome = answer_of(host, create(RouteNetlinkMessage::NewLink(link)))
            .map_err(|error| Error::system(&call, error))?;
        outcome.map(drop).map_err(|refusal| match refusal.errno() {
            Errno::EXIST => Error::refused(call, refusal).with_kind(ErrorKind::InterfaceTaken),
            Errno::OPNOTSUPP => Error::refused(call, refusal).with_kind(ErrorKind::NoVeth),
            _ => Error::refused(call, refusal),
        })
    }

    /// Lets the bridge send frames back to where they came from (*hairpin*). Where `br_netfilter` is on, as for
    /// Kubernetes or Docker, a pod's frame to its own published port is redirected within the bridge.
    fn reflect(&self, host: &mut Socket) -> Result<()> {
        let mut link = LinkMessage::default();
        link.attributes = vec![
            LinkAttribute::IfName(self.host_interface.to_string()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::PortKind(InfoPortKind::Bridge),
                LinkInfo::PortData(InfoPortData::BridgePort(vec![InfoBridgePort::HairpinMode(
                    true,
                )])),
            ]),
        ];
        let request =
            Request { message: RouteNetlinkMessage::NewLink(link), flags: 0, answer: Answer::Ack };
        let call = format!("set hairpin mode on {}", self.host_interface);
        answer_of(host, request)
            .map_err(|error| Error::system(&call, error))?
            .map_err(|refusal| Error::refused(call, refusal))
            .map(drop)
    }
}

/// What is done inside the pod's network namespace.
fn set_up_pod(bridge: &Bridge, host_interface: &InterfaceName, address: Ipv4Addr) -> Result<()> {
    let mut socket = open_route()?;
    let call = |what: &str| format!("{what} in the pod of {host_interface}");
    let index = name_to_index(&socket, IN_POD)
        .map_err(|errno| Error::system(call("look up eth0"), errno))?;
    let mut route = RouteMessage::default();
    route.header.address_family = AddressFamily::Inet;
    route.header.table = netlink_packet_route::route::RouteHeader::RT_TABLE_MAIN;
    route.header.protocol = RouteProtocol::Boot;
    route.header.scope = RouteScope::Universe;
    route.header.kind = RouteType::Unicast;
    route.attributes = vec![
        RouteAttribute::Gateway(RouteAddress::Inet(bridge.gateway())),
        RouteAttribute::Oif(index),
    ];
    let steps = [
        ("bring lo up", up(LOOPBACK)),
        ("bring eth0 up", up(index)),
        ("give eth0 its address", create(address_message(index, address, bridge.subnet()))),
        ("add the default route", create(RouteNetlinkMessage::NewRoute(route))),
    ];
    let (names, requests): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
    let outcomes =
        socket.exchange(requests).map_err(|error| Error::system(call("set up eth0"), error))?;
    for (name, outcome) in names.into_iter().zip(outcomes) {
        outcome.map_err(|refusal| Error::refused(call(name), refusal))?;
    }
    Ok(())
}

fn remove(host: &mut Socket, host_interface: &InterfaceName) -> Result<()> {
    let mut link = LinkMessage::default();
    link.attributes = vec![LinkAttribute::IfName(host_interface.to_string())];
    let request =
        Request { message: RouteNetlinkMessage::DelLink(link), flags: 0, answer: Answer::Ack };
    let call = format!("remove interface {host_interface}");
    match answer_of(host, request).map_err(|error| Error::system(&call, error))? {
        Err(refusal) if refusal.errno() != Errno::NODEV => Err(Error::refused(call, refusal)),
        _ => Ok(()),
    }
}
