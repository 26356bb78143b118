//! What a pod is on the network: its ports, its name, the names that it knows. For `pod create`, and for the pod
//! that `run` makes around a container.

use std::net::IpAddr;

use sandbar_engine::{ContainerOptions, PodOptions, Sharing};
use sandbar_spec::{Bandwidth, BitRate, NetworkMode, PortRequest};

use super::namespaces::joined;
use crate::failure::{Failure, Result};
use crate::values::{HostEntry, check_host_name};

/// Ports and names.
#[derive(Debug, clap::Args)]
pub(crate) struct Publishing {
    /// Publish ports, as in 8080:80, 53:53/udp, 80
    // A range of the host for one port of the pod: one that is free. None of the host: a random one.
    #[arg(short, long, value_name = "[IP:]HOST:PORT")]
    publish: Vec<PortRequest>,
    /// The host name
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,
    /// Add a line to /etc/hosts; or host-gateway
    #[arg(long, value_name = "NAME:IP")]
    add_host: Vec<HostEntry>,
    /// Use this name server
    #[arg(long, value_name = "IP")]
    dns: Vec<IpAddr>,
    /// Search this domain for names; '.' for none
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<String>,
    /// Set a resolver's option
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION")]
    dns_option: Vec<String>,
    /// Limit what it receives, as in 10M bits/s
    #[arg(long, value_name = "RATE")]
    ingress_bandwidth: Option<BitRate>,
    /// Limit what it sends, as in 10M bits/s
    #[arg(long, value_name = "RATE")]
    egress_bandwidth: Option<BitRate>,
}

impl Publishing {
    /// Into the options of a pod, whose network is set already.
    pub(crate) fn resolve(self, pod: &mut PodOptions) -> Result<()> {
        if let Some(name) = &self.hostname {
            // sethostname(2) takes no more.
            let reason = match name.len() {
                ..=64 => check_host_name(name).err(),
                _ => Some("a host name has at most 64 characters"),
            };
            if let Some(reason) = reason {
                return Err(Failure::new(format!("the host name '{name}' can't be: {reason}")));
            }
        }
        if pod.network != NetworkMode::Bridge && !self.publish.is_empty() {
            let message = "ports are published for a network of the pod's own, with an address";
            return Err(Failure::new(message).hint("leave -p or --network out"));
        }
        pod.ports = self.publish;
        pod.hostname = self.hostname;
        pod.hosts = self.add_host.into_iter().map(|entry| (entry.name, entry.address)).collect();
        pod.dns = self.dns;
        pod.dns_search = self.dns_search;
        pod.dns_options = self.dns_option;
        pod.bandwidth =
            Bandwidth { ingress: self.ingress_bandwidth, egress: self.egress_bandwidth };
        Ok(())
    }

    /// Into the options of a container, whose namespaces are resolved already. In a pod that is there before it
    /// there is nothing left to say.
    pub(crate) fn resolve_for_container(self, options: &mut ContainerOptions) -> Result<()> {
        let Some(joined) = joined(options) else {
            if self.hostname.is_some() && options.uts == Some(Sharing::Host) {
                let message = "--hostname would change the host's own name, given --uts=host";
                return Err(Failure::new(message).hint("leave one of them out"));
            }
            return self.resolve(&mut options.own_pod);
        };
        let given = [
            (!self.publish.is_empty(), "-p"),
            (self.hostname.is_some(), "--hostname"),
            (!self.add_host.is_empty(), "--add-host"),
            (!self.dns.is_empty(), "--dns"),
            (!self.dns_search.is_empty(), "--dns-search"),
            (!self.dns_option.is_empty(), "--dns-option"),
            (self.ingress_bandwidth.is_some(), "--ingress-bandwidth"),
            (self.egress_bandwidth.is_some(), "--egress-bandwidth"),
        ];
        match given.into_iter().find(|(is_given, _)| *is_given) {
            Some((_, option)) => Err(Failure::new(format!(
                "{option} is a matter of the whole pod, and {joined} is there already"
            ))
            .hint(format!("give {option} to 'sandbar pod create'"))),
            None => Ok(()),
        }
    }
}
