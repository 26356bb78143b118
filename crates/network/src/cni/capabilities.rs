//! What a pod asks of its network, for those plugins that declare they can do it (CONVENTIONS.md of the CNI project).

use std::{collections::BTreeSet, net::IpAddr};

use serde_json::{Map, Value, json};

use super::{Configuration, Dns, Error, ErrorKind, Result};
use crate::MacAddress;

/// What is asked of the plugins; nothing by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuntimeConfig {
    /// Ports of the host that lead to the pod: the capability `portMappings`.
    pub port_mappings: Vec<PortMapping>,
    /// How fast the pod may send and receive: the capability `bandwidth`.
    pub bandwidth: Option<Bandwidth>,
    /// Addresses and their prefixes' lengths: the capability `ips`.
    pub ips: Vec<(IpAddr, u8)>,
    /// The Ethernet address of the interface in the pod: the capability `mac`.
    pub mac: Option<MacAddress>,
    /// Resolvers to use: the capability `dns`.
    pub dns: Option<Dns>,
    /// Names by which others on the network find the pod: the capability `aliases`.
    pub aliases: Vec<String>,
}

/// A port of the host that leads to one of the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// The host's address to publish at; all of them by default.
    pub host_ip: Option<IpAddr>,
    /// The host's port.
    pub host_port: u16,
    /// The pod's port.
    pub container_port: u16,
    /// What is spoken.
    pub transport: Transport,
}

/// What has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

/// Limits in bits a second, with bursts in bits; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// What the pod may receive.
    pub ingress_rate: u64,
    /// What of it may arrive at once.
    pub ingress_burst: u64,
    /// What the pod may send.
    pub egress_rate: u64,
    /// What of it may be sent at once.
    pub egress_burst: u64,
}

impl RuntimeConfig {
    /// Capabilities and what is asked of each.
    pub(super) fn to_map(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut set = |name: &str, value| drop(map.insert(name.to_owned(), value));
        if !self.port_mappings.is_empty() {
            set(
                "portMappings",
                self.port_mappings.iter().copied().map(PortMapping::to_value).collect(),
            );
        }
        if let Some(limits) = &self.bandwidth {
            let value = json!({
                "ingressRate": limits.ingress_rate,
                "ingressBurst": limits.ingress_burst,
                "egressRate": limits.egress_rate,
                "egressBurst": limits.egress_burst,
            });
            set("bandwidth", value);
        }
        if !self.ips.is_empty() {
            set("ips", self.ips.iter().map(|(ip, prefix)| format!("{ip}/{prefix}")).collect());
        }
        if let Some(mac) = self.mac {
            set("mac", mac.to_string().into());
        }
        if let Some(dns) = &self.dns {
            let value = json!({
                "servers": dns.nameservers,
                "searches": dns.search,
                "options": dns.options,
            });
            set("dns", value);
        }
        if !self.aliases.is_empty() {
            set("aliases", self.aliases.clone().into());
        }
        map
    }
}

impl PortMapping {
    fn to_value(self) -> Value {
        let transport = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
            Transport::Sctp => "sctp",
        };
        let mut value = json!({
            "hostPort": self.host_port,
            "containerPort": self.container_port,
            "protocol": transport,
        });
        if let (Some(ip), Value::Object(keys)) = (self.host_ip, &mut value) {
            keys.insert("hostIP".to_owned(), ip.to_string().into());
        }
        value
    }
}

/// Refuses what no plugin of the network can do.
pub(super) fn check(asked: &Map<String, Value>, network: &Configuration) -> Result<()> {
    match asked.keys().find(|capability| !network.has_capability(capability)) {
        None => Ok(()),
        Some(capability) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("no plugin of network '{}' has the capability '{capability}'", network.name()),
        )),
    }
}

/// What of it one plugin is told, which has these capabilities.
pub(super) fn select(asked: &Map<String, Value>, has: &BTreeSet<String>) -> Map<String, Value> {
    asked
        .iter()
        .filter(|(capability, _)| has.contains(*capability))
        .map(|(capability, value)| (capability.clone(), value.clone()))
        .collect()
}
