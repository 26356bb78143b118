//! What a new network is asked to be.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use sandbar_spec::{Cidr, NetworkAccess, NetworkName};

use crate::error::{Error, Kind};

/// What a new network is asked to be.
#[derive(Debug, Clone)]
pub struct NetworkOptions {
    /// Its name.
    pub name: NetworkName,
    /// The name of its bridge; one is made up if none.
    pub interface: Option<String>,
    /// Its IPv4 subnet; one that is free if none.
    pub subnet: Option<Cidr<Ipv4Addr>>,
    /// The bridge's own address; the subnet's first if none.
    pub gateway: Option<Ipv4Addr>,
    /// What is given to pods that ask for no address; all of the subnet if none.
    pub range: Option<Cidr<Ipv4Addr>>,
    /// Whether it has IPv6 even without a subnet for it: one is made up.
    pub ipv6: bool,
    /// Its IPv6 subnet.
    pub subnet6: Option<Cidr<Ipv6Addr>>,
    /// The bridge's own IPv6 address; the subnet's first if none.
    pub gateway6: Option<Ipv6Addr>,
    /// The largest packet.
    pub mtu: Option<u32>,
    /// Whom its pods reach.
    pub access: NetworkAccess,
    /// Whether its pods find each other by name.
    pub names: bool,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl NetworkOptions {
    /// A network of this name, all else by default.
    #[must_use]
    pub fn new(name: NetworkName) -> Self {
        Self {
            name,
            interface: None,
            subnet: None,
            gateway: None,
            range: None,
            ipv6: false,
            subnet6: None,
            gateway6: None,
            mtu: None,
            access: NetworkAccess::Open,
            names: true,
            labels: BTreeMap::new(),
        }
    }

    /// What says something of a subnet needs the subnet.
    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |message: &str| Err(Error::new(Kind::Invalid, message));
        if self.subnet.is_none() && self.gateway.is_some() {
            return wrong("a gateway is an address of a subnet: give the subnet, too");
        }
        if self.subnet.is_none() && self.range.is_some() {
            return wrong("an address range is a part of a subnet: give the subnet, too");
        }
        if self.subnet6.is_none() && self.gateway6.is_some() {
            return wrong("an IPv6 gateway is an address of an IPv6 subnet: give that, too");
        }
        Ok(())
    }
}
