//! Pods onto a bridge, and off it.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
};
use rustix::{io::Errno, net::netdevice::name_to_index};

use crate::{
    Bridge, Error, ErrorKind, InterfaceName, MacAddress, PodAddresses, Result, WithoutIpv6,
    carrier::await_carrier,
    inside::inside,
    message::{address, answer_of, change, create, default_route, open_route, up},
    netlink::Socket,
    plug::reflect,
    sysctl,
};

/// The loopback interface's index, the same in every network namespace.
const LOOPBACK: u32 = 1;

/// Whether a pod's way to the world is by this bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultRoute {
    /// It is.
    Here,
    /// It is by another, or there is none.
    Elsewhere,
}

/// A pod's connection to a bridge, as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The name of the host's end, such as [`InterfaceName::for_pod`] makes.
    pub host_interface: InterfaceName,
    /// The name of the pod's end.
    pub pod_interface: InterfaceName,
    /// The pod's addresses.
    pub addresses: PodAddresses,
    /// The Ethernet address of the pod's end; `None`: the one that follows from the IPv4 address.
    pub mac: Option<MacAddress>,
    /// Whether the pod's default routes are by this bridge.
    pub default_route: DefaultRoute,
}

impl Attachment {
    /// As a pod on one bridge has it: `eth0` with the default route.
    #[must_use]
    pub fn new(host_interface: InterfaceName, addresses: impl Into<PodAddresses>) -> Self {
        Self {
            host_interface,
            pod_interface: InterfaceName::from_static("eth0"),
            addresses: addresses.into(),
            mac: None,
            default_route: DefaultRoute::Here,
        }
    }

    fn check(&self, bridge: &Bridge) -> Result<()> {
        let PodAddresses { v4, v6 } = self.addresses;
        let refuse = |address: &dyn std::fmt::Display, subnet: &dyn std::fmt::Display| {
            let host = &self.host_interface;
            let text = format!("attach {host}: {address} is not an address for pods in {subnet}");
            Err(Error::new(ErrorKind::InvalidInput, text))
        };
        let subnet = bridge.subnet();
        let ends = [subnet.base(), subnet.last(), bridge.gateway()];
        if !subnet.contains(v4) || ends.contains(&v4) {
            return refuse(&v4, &subnet);
        }
        match (v6, bridge.subnet6()) {
            (None, _) => Ok(()),
            (Some(v6), None) => {
                refuse(&v6, &format_args!("{subnet}: {} has no IPv6", bridge.name()))
            }
            (Some(v6), Some(subnet)) => {
                let is_taken = v6 == subnet.base() || Some(v6) == bridge.gateway6();
                if subnet.contains(v6) && !is_taken { Ok(()) } else { refuse(&v6, &subnet) }
            }
        }
    }
}

/// A pod that is on a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attached {
    /// The Ethernet address of the pod's end.
    pub mac: MacAddress,
    /// Why the pod, which should have an IPv6 address, has none.
    pub without_ipv6: Option<WithoutIpv6>,
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

/// Puts a pod on the bridge: a veth pair, its one end on the bridge, the other in `netns` with the pod's addresses
/// and, if wanted, the default routes; the namespace's `lo` is brought up, too.
///
/// A failure leaves nothing behind.
///
/// # Errors
/// `NotReady` without the bridge, `InterfaceTaken` when either end's name is in use, `InvalidInput` for an address
/// that is not one of the subnets' for pods; `NoVeth`, `PermissionDenied`, `System`.
pub fn attach(bridge: &Bridge, netns: BorrowedFd<'_>, attachment: &Attachment) -> Result<Attached> {
    attachment.check(bridge)?;
    let without_ipv6 = attachment.addresses.v6.and_then(|_| sysctl::without_ipv6());
    let possible = match without_ipv6 {
        Some(_) => &Attachment { addresses: attachment.addresses.v4.into(), ..attachment.clone() },
        None => attachment,
    };
    let mut host = open_route()?;
    let mac = possible.mac.unwrap_or_else(|| MacAddress::of(possible.addresses.v4));
    let mtu = bridge.mtu();
    let pair = Pair { bridge_index: bridge.index(&host)?, mtu, netns, attachment: possible, mac };
    let host_interface = &possible.host_interface;
    inside(netns, || {
        // Before the interface exists: see `sysctl`.
        sysctl::prepare_interface(possible.addresses.v6.is_some())?;
        pair.create(&mut host)?;
        let set_up = reflect(&mut host, host_interface)
            .and_then(|()| set_up_pod(bridge, possible))
            .and_then(|()| await_carrier(&mut host, [host_interface, bridge.name()]));
        if set_up.is_err() {
            // What matters to the caller is why; an interface that can't be removed now, `detach` finds by its name.
            _ = remove(&mut host, host_interface);
        }
        set_up
    })?;
    // On a bridge it hears nothing. On none, as after somebody deleted the bridge, it would be an interface by which
    // the host believes the pod to be a router.
    if let Err(error) = sysctl::ignore_routers(host_interface.as_str()) {
        _ = remove(&mut host, host_interface);
        return Err(error);
    }
    Ok(Attached { mac, without_ipv6 })
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
    mtu: Option<u32>,
    netns: BorrowedFd<'a>,
    attachment: &'a Attachment,
    mac: MacAddress,
}

impl Pair<'_> {
    /// Creates both ends where they belong with one message. The pod's end stays down until it is set up.
    fn create(&self, host: &mut Socket) -> Result<()> {
        let Attachment { host_interface, pod_interface, .. } = self.attachment;
        let mut peer = LinkMessage::default();
        peer.attributes = vec![
            LinkAttribute::IfName(pod_interface.to_string()),
            LinkAttribute::Address(self.mac.octets().to_vec()),
            LinkAttribute::NetNsFd(self.netns.as_raw_fd()),
        ];
        peer.attributes.extend(self.mtu.map(LinkAttribute::Mtu));
        let mut link = LinkMessage::default();
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        link.attributes = vec![
            LinkAttribute::IfName(host_interface.to_string()),
            LinkAttribute::Controller(self.bridge_index),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
            ]),
        ];
        link.attributes.extend(self.mtu.map(LinkAttribute::Mtu));
        let call = format!("create veth {host_interface} with {pod_interface} in a pod");
        let outcome = answer_of(host, create(RouteNetlinkMessage::NewLink(link)))
            .map_err(|error| Error::system(&call, error))?;
        outcome.map(drop).map_err(|refusal| match refusal.errno() {
            Errno::EXIST => Error::refused(call, refusal).with_kind(ErrorKind::InterfaceTaken),
            Errno::OPNOTSUPP => Error::refused(call, refusal).with_kind(ErrorKind::NoVeth),
            _ => Error::refused(call, refusal),
        })
    }
}

/// What is done inside the pod's network namespace.
fn set_up_pod(bridge: &Bridge, attachment: &Attachment) -> Result<()> {
    let Attachment { host_interface, pod_interface, addresses, default_route: default, .. } =
        attachment;
    let mut socket = open_route()?;
    let call = |what: &str| format!("{what} in the pod of {host_interface}");
    let index = name_to_index(&socket, pod_interface.as_str())
        .map_err(|errno| Error::system(call(&format!("look up {pod_interface}")), errno))?;
    let v4 = address(index, addresses.v4.into(), bridge.subnet().prefix());
    let mut steps = vec![
        ("bring lo up".to_owned(), up(LOOPBACK)),
        (format!("bring {pod_interface} up"), up(index)),
        (format!("give {pod_interface} the address {}", addresses.v4), create(v4)),
    ];
    let ipv6 = addresses.v6.and_then(|own| Some((own, bridge.subnet6()?, bridge.gateway6()?)));
    if let Some((own, subnet, _)) = ipv6 {
        let v6 = address(index, own.into(), subnet.prefix());
        steps.push((format!("give {pod_interface} the address {own}"), create(v6)));
    }
    if *default == DefaultRoute::Here {
        let v6 = ipv6.map(|(.., gateway)| gateway.into());
        for gateway in [Some(bridge.gateway().into()), v6].into_iter().flatten() {
            let route = default_route(index, gateway);
            steps.push((format!("add the default route by {gateway}"), create(route)));
        }
    }
    let (names, requests): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
    let outcomes = socket
        .exchange(requests)
        .map_err(|error| Error::system(call(&format!("set up {pod_interface}")), error))?;
    for (name, outcome) in names.iter().zip(outcomes) {
        outcome.map_err(|refusal| Error::refused(call(name), refusal))?;
    }
    Ok(())
}

fn remove(host: &mut Socket, host_interface: &InterfaceName) -> Result<()> {
    let mut link = LinkMessage::default();
    link.attributes = vec![LinkAttribute::IfName(host_interface.to_string())];
    let call = format!("remove interface {host_interface}");
    let request = change(RouteNetlinkMessage::DelLink(link));
    match answer_of(host, request).map_err(|error| Error::system(&call, error))? {
        Err(refusal) if refusal.errno() != Errno::NODEV => Err(Error::refused(call, refusal)),
        _ => Ok(()),
    }
}
