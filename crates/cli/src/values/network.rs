//! `--network`: a container's or a pod's network, and what it shall have there.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use sandbar_spec::{Invalid, Membership};

use super::check_host_name;

/// A network as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Network {
    /// An address on one of Sandbar's networks; `bridge` and `private` are the default one.
    On(Membership),
    /// The host's own.
    Host,
    /// Loopback alone.
    None,
    /// A container's.
    Container(String),
    /// A pod's.
    Pod(String),
    /// A network namespace that somebody else made.
    Path(PathBuf),
}

impl FromStr for Network {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason| Err(Invalid::new("network", text, reason));
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        match (name, rest) {
            ("", _) => wrong("a name is needed"),
            ("host", "") => Ok(Self::Host),
            ("none", "") => Ok(Self::None),
            ("host" | "none", _) => wrong("nothing can be said of it after a ':'"),
            ("container" | "pod" | "ns", "") => wrong("a name is needed after the ':'"),
            ("container", name) => Ok(Self::Container(name.to_owned())),
            ("pod", name) => Ok(Self::Pod(name.to_owned())),
            ("ns", path) if path.starts_with('/') => Ok(Self::Path(path.into())),
            ("ns", _) => wrong("an absolute path is needed after the ':'"),
            (name, rest) => membership(text, name, rest).map(Self::On),
        }
    }
}

/// `NAME[:ip=…,ip6=…,mac=…,alias=…,interface_name=…]`, as Podman has it.
fn membership(text: &str, name: &str, rest: &str) -> Result<Membership, Invalid> {
    let wrong = |reason: &str| Invalid::new("network", text, reason);
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if !is_name {
        return Err(wrong("it is not what a network can be called"));
    }
    let network = if matches!(name, "bridge" | "private") { "" } else { name };
    let mut membership = Membership { network: network.to_owned(), ..Membership::default() };
    for option in rest.split(',').filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "ip" | "ip6" => match value.parse() {
                Ok(IpAddr::V4(ip)) if key == "ip" => membership.ip = Some(ip),
                Ok(IpAddr::V6(ip)) => membership.ip6 = Some(ip),
                _ => return Err(wrong("an IP address is needed after 'ip='")),
            },
            "mac" => membership.mac = Some(value.to_owned()),
            "alias" => {
                check_host_name(value).map_err(wrong)?;
                membership.aliases.push(value.to_owned());
            }
            "interface_name" => membership.interface = Some(value.to_owned()),
            _ => {
                return Err(wrong(
                    "after the ':', ip, ip6, mac, alias and interface_name can be set",
                ));
            }
        }
    }
    Ok(membership)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let on = |network: &str| {
            Network::On(Membership { network: network.into(), ..Membership::default() })
        };
        for (text, network) in [
            ("bridge", on("")),
            ("private", on("")),
            ("mynet", on("mynet")),
            ("host", Network::Host),
            ("none", Network::None),
            ("container:web", Network::Container("web".into())),
            ("pod:p", Network::Pod("p".into())),
            ("ns:/proc/1/ns/net", Network::Path("/proc/1/ns/net".into())),
        ] {
            assert_eq!(text.parse(), Ok(network));
        }
        for bad in ["", ":ip=1.2.3.4", "container:", "container", "ns:x", "host:ip=1.2.3.4", "a/b"]
        {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_asked_for_there() {
        let text =
            "n:ip=10.0.0.9,ip6=fd00::9,mac=02:00:00:00:00:01,alias=a,alias=b,interface_name=x";
        let Ok(Network::On(it)) = text.parse() else { panic!("{text}") };
        assert_eq!(
            (it.ip.unwrap().to_string(), it.ip6.unwrap().to_string()),
            ("10.0.0.9".into(), "fd00::9".into())
        );
        assert_eq!(
            (it.mac.as_deref(), it.interface.as_deref()),
            (Some("02:00:00:00:00:01"), Some("x"))
        );
        assert_eq!(it.aliases, ["a", "b"]);
        for bad in ["n:ip=x", "n:ip6=1.2.3.4", "n:vlan=3", "n:alias=a b"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
