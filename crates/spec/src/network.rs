//! A network: what it is asked to be, and a pod's place on it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Cidr, NetworkId, NetworkName};

/// What a network is asked to be. Written once and never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkConfig {
    /// Its id.
    pub id: NetworkId,
    /// Its name.
    pub name: NetworkName,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its bridge.
    pub interface: String,
    /// Its IPv4 addresses.
    pub ipv4: AddressPlan<Ipv4Addr>,
    /// The IPv4 addresses that are given to pods that ask for none; all if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Cidr<Ipv4Addr>>,
    /// Its IPv6 addresses, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<AddressPlan<Ipv6Addr>>,
    /// The largest packet; Ethernet's usual 1500 if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    /// Whom its pods reach.
    pub access: NetworkAccess,
    /// Whether its pods find each other by name.
    pub names: bool,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A network's addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "A: crate::Address + Serialize"))]
#[serde(bound(deserialize = "A: crate::Address + Deserialize<'de>"))]
pub struct AddressPlan<A: crate::Address> {
    /// All of them.
    pub subnet: Cidr<A>,
    /// The bridge's own.
    pub gateway: A,
}

/// Whom a network's pods reach beside each other and the host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkAccess {
    /// The world, and published ports of other networks' pods.
    #[default]
    Open,
    /// The world, but no pod of another network.
    Isolated,
    /// Nobody.
    Internal,
}

/// A network that a pod is to be on, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The network's name or the beginning of its id; the default network if empty.
    pub network: String,
    /// The IPv4 address that the pod shall have there.
    pub ip: Option<Ipv4Addr>,
    /// The IPv6 address that the pod shall have there.
    pub ip6: Option<Ipv6Addr>,
    /// The hardware address of its interface.
    pub mac: Option<String>,
    /// Names by which it is found there, beside its own and its containers'.
    pub aliases: Vec<String>,
    /// The name of its interface; the next `eth…` if none.
    pub interface: Option<String>,
}

/// A pod's place on one network. Written before an address is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The network's name.
    pub network: NetworkName,
    /// The network's id.
    pub network_id: NetworkId,
    /// Its address.
    pub ip: Ipv4Addr,
    /// The length of its subnet's prefix.
    pub prefix: u8,
    /// Where it sends what is for elsewhere.
    pub gateway: Ipv4Addr,
    /// The same for IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<Connection6>,
    /// Its interface's hardware address.
    pub mac: String,
    /// The pod's end of its interface pair.
    pub interface: String,
    /// The host's end of it.
    pub host_interface: String,
    /// The names that were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Whether the network's resolver answers at its gateway.
    pub names: bool,
    /// Whether the network is internal: its resolver knows its own names alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
}

/// A pod's IPv6 address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection6 {
    /// Its address.
    pub ip: Ipv6Addr,
    /// The length of its subnet's prefix.
    pub prefix: u8,
    /// Where it sends what is for elsewhere.
    pub gateway: Ipv6Addr,
}

impl NetworkConfig {
    /// What the network is called that is always there.
    pub const DEFAULT_NAME: &str = "sandbar";

    /// Whether it is the network that is always there.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.name.as_str() == Self::DEFAULT_NAME
    }
}

impl Connection {
    /// The network by which a pod that is on these reaches the world, and where its ports are published: the first that
    /// is not internal.
    #[must_use]
    pub fn gateway_of(connections: &[Self]) -> Option<&Self> {
        connections.iter().find(|connection| !connection.internal)
    }

    /// Its addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let v6 = self.ipv6.as_ref().map(|it| it.ip.into());
        [Some(self.ip.into()), v6].into_iter().flatten()
    }
}
