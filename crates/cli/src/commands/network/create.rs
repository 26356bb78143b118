//! `sandbar network create`.

use std::net::{IpAddr, Ipv4Addr};

use sandbar_engine::NetworkOptions;
use sandbar_spec::{Cidr, NetworkAccess, NetworkName};

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::output;
use crate::values::{Label, NetworkSetting};

/// Make a network with a bridge of its own, and print its name
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Its subnet, as in 10.85.0.0/24; one for each IP
    #[arg(long, value_name = "SUBNET")]
    subnet: Vec<Cidr<IpAddr>>,
    /// The bridge's own address; once for each subnet
    #[arg(long, value_name = "IP")]
    gateway: Vec<IpAddr>,
    /// The part of it that pods get addresses of
    #[arg(long, value_name = "RANGE")]
    ip_range: Option<Cidr<Ipv4Addr>>,
    /// IPv6 too; without a subnet for it one is made up
    #[arg(long)]
    ipv6: bool,
    /// No way in or out but to the host itself
    #[arg(long)]
    internal: bool,
    /// Keep pods of other networks out entirely
    #[arg(long)]
    isolate: bool,
    /// mtu=NUMBER or isolate=true
    #[arg(short, long, value_name = "NAME=VALUE")]
    opt: Vec<NetworkSetting>,
    /// The name of its bridge
    #[arg(long, value_name = "NAME")]
    interface_name: Option<String>,
    /// Pods don't find each other by name
    #[arg(long)]
    disable_dns: bool,
    /// Mark it with a label
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<Label>,
    /// bridge: there is no other
    #[arg(short, long, value_parser = ["bridge"], hide_possible_values = true)]
    driver: Option<String>,
    /// Its name
    #[arg(value_name = "NAME")]
    name: NetworkName,
}

impl Create {
    fn resolve(self) -> Result<NetworkOptions> {
        let mut options = NetworkOptions::new(self.name);
        for Cidr { base, prefix } in self.subnet {
            let is_second = match base {
                IpAddr::V4(base) => options.subnet.replace(Cidr { base, prefix }).is_some(),
                IpAddr::V6(base) => options.subnet6.replace(Cidr { base, prefix }).is_some(),
            };
            if is_second {
                return Err(Failure::new("a network has one subnet for IPv4 and one for IPv6"));
            }
        }
        for gateway in self.gateway {
            let is_second = match gateway {
                IpAddr::V4(gateway) => options.gateway.replace(gateway).is_some(),
                IpAddr::V6(gateway) => options.gateway6.replace(gateway).is_some(),
            };
            if is_second {
                return Err(Failure::new("a network has one gateway for IPv4 and one for IPv6"));
            }
        }
        let mut isolate = self.isolate;
        for setting in self.opt {
            match setting {
                NetworkSetting::Mtu(mtu) => options.mtu = Some(mtu),
                NetworkSetting::Isolate(is) => isolate |= is,
            }
        }
        if self.internal && isolate {
            let message = "--internal keeps everybody out, pods of other networks too";
            return Err(Failure::new(message).hint("leave --isolate out"));
        }
        options.access = match (self.internal, isolate) {
            (true, _) => NetworkAccess::Internal,
            (false, true) => NetworkAccess::Isolated,
            (false, false) => NetworkAccess::Open,
        };
        options.range = self.ip_range;
        options.ipv6 = self.ipv6;
        options.interface = self.interface_name;
        options.names = !self.disable_dns;
        options.labels = self.label.into_iter().map(|it| (it.name, it.value)).collect();
        Ok(options)
    }

    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let options = self.resolve()?;
        let action = format!("create the network {}", options.name);
        let (network, told) = context.engine()?.create_network(options).doing(action)?;
        for told in told {
            output::note(&told);
        }
        output::line(&network.name)?;
        Ok(Exit::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        create: Create,
    }

    fn resolve(line: &str) -> Result<NetworkOptions> {
        let words = ["create"].into_iter().chain(line.split(' '));
        Line::try_parse_from(words).unwrap().create.resolve()
    }

    #[test]
    fn a_network_has_a_subnet_of_each_family() {
        let line = "--subnet 10.9.0.0/24 --subnet fd00:9::/64 --gateway 10.9.0.254 -o mtu=1400 n";
        let options = resolve(line).unwrap();
        assert_eq!(options.subnet.unwrap().to_string(), "10.9.0.0/24");
        assert_eq!(options.subnet6.unwrap().to_string(), "fd00:9::/64");
        assert_eq!(options.gateway, Some(Ipv4Addr::new(10, 9, 0, 254)));
        assert_eq!(options.gateway6, None);
        assert_eq!((options.mtu, options.names), (Some(1400), true));
        assert!(resolve("--subnet 10.9.0.0/24 --subnet 10.8.0.0/24 n").is_err());
    }

    #[test]
    fn who_reaches_whom() {
        assert_eq!(resolve("n").unwrap().access, NetworkAccess::Open);
        assert_eq!(resolve("--internal n").unwrap().access, NetworkAccess::Internal);
        for line in ["--isolate n", "-o isolate=true n", "--opt isolate=1 n"] {
            assert_eq!(resolve(line).unwrap().access, NetworkAccess::Isolated, "{line}");
        }
        assert!(resolve("--internal --isolate n").is_err());
    }
}
