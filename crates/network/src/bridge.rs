//! The bridges that pods are on.

mod inspect;
mod set_up;

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{
    Error, ErrorKind, InterfaceName, Lingering, PodAddresses, Result, Subnet, Subnet6,
    message::open_route,
    nftables::{self, Loopback6, Network, Nftables},
    overlap,
    sysctl::{self, Change, Setting, WithoutIpv6},
};
use inspect::State;

/// The least MTU that IPv6 works with (RFC 8200, 5), and that IPv4 does (RFC 791).
const LEAST_MTU_6: u32 = 1280;
const LEAST_MTU: u32 = 68;
const MOST_MTU: u32 = 65_535;

/// Whether bridges call netfilter for IPv6: of `br_netfilter`, there only with that module.
const CALLS_NETFILTER_6: &str = "bridge/bridge-nf-call-ip6tables";

/// Whom a bridge's pods can reach and be reached by, beside the host and each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// The world, by the host's address; published ports of other bridges' pods.
    #[default]
    Open,
    /// The world, but no pod of another bridge.
    Isolated,
    /// Nobody.
    Internal,
}

/// A bridge of the host and the subnets of the pods on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    name: InterfaceName,
    subnet: Subnet,
    gateway: Ipv4Addr,
    ipv6: Option<(Subnet6, Ipv6Addr)>,
    mtu: Option<u32>,
    access: Access,
}

/// What [`Bridge::ensure`] did and could not do.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ensured {
    /// The connection to the firewall.
    pub lingering: Lingering,
    /// The settings of the host that had to be changed, those of the bridge itself not among them.
    pub changed: Vec<Change>,
    /// Why the bridge, which should have IPv6, has none.
    pub without_ipv6: Option<WithoutIpv6>,
    /// Whether ports published over IPv6 are reached by `::1`, too: not where bridges call netfilter
    /// (`net.bridge.bridge-nf-call-ip6tables`), which translates the answer back to `::1` before it reaches the
    /// host, and the kernel drops what comes in to that address. A connection goes to a program of the host there, or is refused.
    pub is_loopback6_published: bool,
    /// Whether the bridge was missing, or incomplete. Pods that were on one which somebody deleted are on none: see
    /// [`plug`](crate::plug).
    pub was_incomplete: bool,
}

/// What is taken as a sign that the table's rules are there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// That their version is.
    Version,
    /// That the whole table is as it was made.
    Whole,
}

/// `sandbar0`, 10.84.0.0/16.
impl Default for Bridge {
    fn default() -> Self {
        Self::new(InterfaceName::from_static("sandbar0"), Subnet::DEFAULT)
    }
}

impl Bridge {
    /// A bridge that may or may not exist yet, with the subnet's first address as gateway, without IPv6, open, and
    /// with the MTU of Ethernet.
    #[must_use]
    pub fn new(name: InterfaceName, subnet: Subnet) -> Self {
        let gateway = subnet.gateway();
        Self { name, subnet, gateway, ipv6: None, mtu: None, access: Access::default() }
    }

    /// With another address of the subnet for the bridge itself.
    ///
    /// # Errors
    /// `InvalidInput` for an address that is not one for hosts of the subnet.
    pub fn with_gateway(self, gateway: Ipv4Addr) -> Result<Self> {
        let subnet = self.subnet;
        if !subnet.contains(gateway) || [subnet.base(), subnet.last()].contains(&gateway) {
            return Err(invalid(format!(
                "gateway {gateway}: not an address for hosts in {subnet}"
            )));
        }
        Ok(Self { gateway, ..self })
    }

    /// With IPv6, and `gateway`, by default the subnet's first address, for the bridge itself.
    ///
    /// # Errors
    /// `InvalidInput` for a gateway outside of the subnet, and with an MTU below 1280.
    pub fn with_ipv6(self, subnet: Subnet6, gateway: Option<Ipv6Addr>) -> Result<Self> {
        let gateway = gateway.unwrap_or_else(|| subnet.gateway());
        if !subnet.contains(gateway) || gateway == subnet.base() {
            return Err(invalid(format!(
                "gateway {gateway}: not an address for hosts in {subnet}"
            )));
        }
        check_mtu(self.mtu, true)?;
        Ok(Self { ipv6: Some((subnet, gateway)), ..self })
    }

    /// With this MTU, for the bridge and its pods.
    ///
    /// # Errors
    /// `InvalidInput` outside 68 to 65535, and below 1280 with IPv6.
    pub fn with_mtu(self, mtu: u32) -> Result<Self> {
        check_mtu(Some(mtu), self.ipv6.is_some())?;
        Ok(Self { mtu: Some(mtu), ..self })
    }

    /// With another access.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self { access, ..self }
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
        self.gateway
    }

    /// The IPv6 subnet of the bridge's pods.
    #[must_use]
    pub fn subnet6(&self) -> Option<Subnet6> {
        self.ipv6.map(|(subnet, _)| subnet)
    }

    /// The bridge's own IPv6 address.
    #[must_use]
    pub fn gateway6(&self) -> Option<Ipv6Addr> {
        self.ipv6.map(|(_, gateway)| gateway)
    }

    /// The MTU that was chosen.
    #[must_use]
    pub fn mtu(&self) -> Option<u32> {
        self.mtu
    }

    /// Whom its pods can reach.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Makes everything that pods on this bridge need of the host, as far as it is missing:
    ///
    /// - the nftables table `inet sandbar`: what leaves the subnets gets the host's address, 127.0.0.0/8 and ::1
    ///   stay closed to all but the host itself, pods to all but their neighbours, and published ports have their
    ///   maps; the table `ip sandbar` of older versions goes, and the ports in it with it;
    /// - in Docker's chain `DOCKER-USER` of iptables-nft, where there is one, rules that let this bridge's traffic
    ///   through, as Docker has the policy to drop what is forwarded;
    /// - `net.ipv4.ip_forward`, and for a bridge with IPv6 `net.ipv6.conf.all.forwarding`, without which the host is
    ///   no router, unless the bridge is internal; interfaces by which the host itself listens to IPv6 routers go on
    ///   to do so (`accept_ra` 2);
    /// - the bridge with its addresses, up, and with `route_localnet` and for IPv6 a local route to ::1, so that
    ///   127.0.0.1 and ::1 can lead to a pod.
    ///
    /// Where all is there this is three round trips to the kernel. Any number of processes may call it at once.
    ///
    /// # Errors
    /// `SubnetTaken` when a subnet overlaps a route or address of another interface, `InterfaceTaken` when the name
    /// is that of an interface that is none of ours; `NoNftables`, `NoBridge`, `PermissionDenied`, `System`.
    pub fn ensure(&self) -> Result<Ensured> {
        self.ensure_after(Trust::Version)
    }

    /// As [`Bridge::ensure`], after others have changed the table.
    pub(crate) fn ensure_whole(&self) -> Result<Ensured> {
        self.ensure_after(Trust::Whole)
    }

    fn ensure_after(&self, trust: Trust) -> Result<Ensured> {
        let without_ipv6 = self.ipv6.and_then(|_| sysctl::without_ipv6());
        let possible = match without_ipv6 {
            Some(_) => &Self { ipv6: None, ..self.clone() },
            None => self,
        };
        let loopback = possible.ipv6.map(|_| loopback6());
        let (lingering, state, changed) = possible.ensure_possible(loopback, trust)?;
        Ok(Ensured {
            lingering,
            changed,
            without_ipv6,
            is_loopback6_published: loopback == Some(Loopback6::Leads),
            was_incomplete: state != State::Complete,
        })
    }

    fn ensure_possible(
        &self,
        loopback: Option<Loopback6>,
        trust: Trust,
    ) -> Result<(Lingering, State, Vec<Change>)> {
        let mut route = open_route()?;
        let mut nftables = Nftables::open()?;
        let network = self.network();
        let is_ruled = nftables::is_in_place(&mut nftables, &network, loopback)?
            && (trust == Trust::Version || nftables::is_whole(&mut nftables)?);
        let mut state = self.inspect(&mut route)?;
        // Who turns forwarding off is told of before each interface's is off.
        if state == State::Complete && trust == Trust::Whole && !self.is_served() {
            state = State::Incomplete;
        }
        // Checked first: what is refused should leave nothing behind. A network that pods are on already is kept closed
        // whatever routes there are by now.
        let is_new = state == State::Missing || (!is_ruled && state == State::Incomplete);
        if is_new && trust == Trust::Version {
            overlap::check(&mut route, self)?;
        }
        if !is_ruled {
            let put = match trust {
                Trust::Version => nftables::put_in_place,
                Trust::Whole => nftables::put_back_in_place,
            };
            put(&mut nftables, &network, loopback)?;
        }
        nftables::admit(&mut nftables, &network)?;
        if state == State::Missing && trust == Trust::Whole {
            overlap::check(&mut route, self)?;
        }
        // Only now: `route_localnet` is safe behind the table's rules alone.
        let changed = match state {
            State::Complete => Vec::new(),
            State::Incomplete => self.complete(&mut route)?,
            State::Missing => {
                self.create(&mut route)?;
                self.complete(&mut route)?
            }
        };
        Ok((nftables.linger(), state, changed))
    }

    /// Whether there is an interface of its name.
    ///
    /// # Errors
    /// `PermissionDenied`, `System`.
    pub fn is_there(&self) -> Result<bool> {
        match self.index(&open_route()?) {
            Err(error) if error.kind() == ErrorKind::NotReady => Ok(false),
            found => found.map(|_index| true),
        }
    }

    /// The settings of the host that the bridge depends on, as they are now.
    #[must_use]
    pub fn settings(&self) -> Vec<Setting> {
        let name = &self.name;
        let routes = self.access != Access::Internal;
        let has_ipv6 = self.ipv6.is_some();
        let localnet = format!("ipv4/conf/{name}/route_localnet");
        let settings = [
            (routes, "ipv4/ip_forward", Some("1")),
            (true, localnet.as_str(), Some("1")),
            (routes && has_ipv6, "ipv6/conf/all/forwarding", Some("1")),
            (has_ipv6, CALLS_NETFILTER_6, None),
        ];
        let of_this_bridge = settings.into_iter().filter(|(is_ours, ..)| *is_ours);
        of_this_bridge.map(|(_, path, needed)| Setting::read(path, needed)).collect()
    }

    /// Whether the host's settings are as the bridge's pods need them: not after somebody has turned forwarding off.
    #[must_use]
    pub fn is_served(&self) -> bool {
        self.settings().iter().all(Setting::is_right)
    }

    /// Removes the bridge, and what the table and `DOCKER-USER` know of it. The table and the host's settings stay; a bridge that is
    /// not there is no error. Pods on it lose their connection. An interface of this name that is none of ours stays, and
    /// is rid of our rules.
    ///
    /// # Errors
    /// `PermissionDenied`, `System`.
    pub fn remove(&self) -> Result<Lingering> {
        let mut route = open_route()?;
        let is_there = match self.inspect(&mut route) {
            Err(error) if error.kind() == ErrorKind::InterfaceTaken => false,
            state => state? != State::Missing,
        };
        // The bridge first: without the rules its pods would be open to everyone.
        if is_there {
            self.delete(&mut route)?;
        }
        let mut nftables = match Nftables::open() {
            Err(error) if error.kind() == ErrorKind::NoNftables => return Ok(Lingering::default()),
            other => other?,
        };
        nftables::withdraw(&mut nftables, &self.name)?;
        nftables::take_away(&mut nftables, &self.network())?;
        Ok(nftables.linger())
    }

    /// Notes that the pod with these addresses, of another bridge, was put on this one, too: who comes from here to its
    /// published ports is answered past the host, so that the pod has to see the gateway. A repetition is no error.
    ///
    /// # Errors
    /// `NoNftables`, `PermissionDenied`, `System`.
    pub fn share(&self, pod: impl Into<PodAddresses>) -> Result<Lingering> {
        let mut nftables = Nftables::open()?;
        nftables::link(&mut nftables, &self.network(), pod.into())?;
        Ok(nftables.linger())
    }

    /// Notes that it was taken off this one; that it was not on it is no error.
    ///
    /// # Errors
    /// `NoNftables`, `PermissionDenied`, `System`.
    pub fn unshare(&self, pod: impl Into<PodAddresses>) -> Result<Lingering> {
        let mut nftables = Nftables::open()?;
        nftables::unlink(&mut nftables, &self.network(), pod.into())?;
        Ok(nftables.linger())
    }

    fn network(&self) -> Network<'_> {
        Network {
            bridge: &self.name,
            subnet: self.subnet,
            subnet6: self.subnet6(),
            is_internal: self.access == Access::Internal,
            is_isolated: self.access == Access::Isolated,
        }
    }
}

/// Where bridges call netfilter, an answer is translated back to `::1` within the bridge; then it comes in to the
/// host by an interface that is not `lo`, and is dropped (`ip6_rcv_core`).
fn loopback6() -> Loopback6 {
    if is_loopback6_published() { Loopback6::Leads } else { Loopback6::DoesNot }
}

/// Whether ports that are published over IPv6 are reached by `::1`, too ([`Ensured::is_loopback6_published`]).
#[must_use]
pub fn is_loopback6_published() -> bool {
    !sysctl::read(CALLS_NETFILTER_6).is_ok_and(|value| value != "0")
}

fn check_mtu(mtu: Option<u32>, has_ipv6: bool) -> Result<()> {
    let least = if has_ipv6 { LEAST_MTU_6 } else { LEAST_MTU };
    match mtu {
        Some(mtu) if !(least..=MOST_MTU).contains(&mtu) => {
            let why = if has_ipv6 { " with IPv6" } else { "" };
            Err(invalid(format!("MTU {mtu}: it must be from {least} to {MOST_MTU}{why}")))
        }
        _ => Ok(()),
    }
}

fn invalid(text: String) -> Error {
    Error::new(ErrorKind::InvalidInput, text)
}
