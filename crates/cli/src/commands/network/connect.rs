//! `sandbar network connect`.

use std::net::{Ipv4Addr, Ipv6Addr};

use sandbar_spec::Membership;

use super::disconnect::pod_of;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Put a pod on a network, at once if it runs
#[derive(Debug, clap::Args)]
pub(crate) struct Connect {
    /// The IPv4 address that it shall have
    #[arg(long, value_name = "IP")]
    ip: Option<Ipv4Addr>,
    /// The IPv6 address that it shall have
    #[arg(long, value_name = "IP")]
    ip6: Option<Ipv6Addr>,
    /// The hardware address of its interface
    #[arg(long, value_name = "MAC")]
    mac_address: Option<String>,
    /// A name by which it is found on the network
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    /// The network
    network: String,
    /// The pod, or a container of it
    pod: String,
}

impl Connect {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("put {} on the network {}", self.pod, self.network);
        let engine = context.engine()?;
        for alias in &self.alias {
            crate::options::check_alias(alias)?;
        }
        let membership = Membership {
            network: self.network,
            ip: self.ip,
            ip6: self.ip6,
            mac: self.mac_address,
            aliases: self.alias,
            interface: None,
        };
        let pod = pod_of(&engine, &self.pod).doing(&action)?;
        let joined = engine.connect(&pod, &membership).doing(&action)?;
        joined.told.iter().for_each(|told| output::note(told));
        Ok(Exit::SUCCESS)
    }
}
