//! What an addition made (specification, section 5, "Success").

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use super::Version;

/// What the plugins of a chain made together.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct CniResult {
    /// All interfaces, the host's too.
    #[serde(default, deserialize_with = "or_default")]
    pub interfaces: Vec<Interface>,
    /// All addresses.
    #[serde(default, deserialize_with = "or_default")]
    pub ips: Vec<Address>,
    /// Routes in the pod.
    #[serde(default, deserialize_with = "or_default")]
    pub routes: Vec<Route>,
    /// Resolvers.
    #[serde(default, deserialize_with = "or_default")]
    pub dns: Dns,
}

/// An interface that a plugin made.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its Ethernet address, as the plugin wrote it; empty if it has none.
    #[serde(default)]
    pub mac: String,
    /// Its maximum transmission unit (since 1.1.0).
    #[serde(default)]
    pub mtu: Option<u32>,
    /// The path of the pod's network namespace; empty for an interface of the host.
    #[serde(default)]
    pub sandbox: String,
}

/// An address that a plugin gave.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Address {
    /// The address and the length of its prefix.
    #[serde(deserialize_with = "with_prefix")]
    pub address: (IpAddr, u8),
    /// The default gateway of its subnet.
    #[serde(default, deserialize_with = "ip")]
    pub gateway: Option<IpAddr>,
    /// Which of the result's interfaces has it.
    #[serde(default)]
    pub interface: Option<usize>,
}

/// A route that a plugin made in the pod.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Route {
    /// Where it leads to: an address and the length of its prefix.
    #[serde(rename = "dst", deserialize_with = "with_prefix")]
    pub destination: (IpAddr, u8),
    /// The next hop, if it is not that of the address.
    #[serde(default, rename = "gw", deserialize_with = "ip")]
    pub gateway: Option<IpAddr>,
}

/// Resolvers, as of resolv.conf(5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Dns {
    /// Addresses of name servers.
    #[serde(default, deserialize_with = "or_default")]
    pub nameservers: Vec<String>,
    /// The local domain; empty if there is none.
    #[serde(default)]
    pub domain: String,
    /// Domains to search short names in.
    #[serde(default, deserialize_with = "or_default")]
    pub search: Vec<String>,
    /// Options for the resolver.
    #[serde(default, deserialize_with = "or_default")]
    pub options: Vec<String>,
}

impl CniResult {
    /// The addresses of the pod's interface of this name, and those that no plugin gave to an interface.
    pub fn addresses_of(&self, interface: &str) -> impl Iterator<Item = &Address> {
        self.ips.iter().filter(move |ip| {
            let owner = ip.interface.and_then(|index| self.interfaces.get(index));
            owner.is_none_or(|it| it.name == interface && !it.sandbox.is_empty())
        })
    }
}

/// A plugin's answer, of whatever version it says, brought into `version`; it is for other plugins to read.
pub(super) fn read(text: &[u8], version: Version) -> Result<(CniResult, Value), String> {
    let mut value: Value =
        serde_json::from_slice(text).map_err(|error| format!("not JSON: {error}"))?;
    let Value::Object(keys) = &mut value else { return Err("not a JSON object".to_owned()) };
    match keys.get("cniVersion") {
        None => {}
        Some(Value::String(text)) => {
            text.parse::<Version>().map_err(|why| format!("cniVersion: {why}"))?;
        }
        Some(_) => return Err("cniVersion: not a string".to_owned()),
    }
    let result = CniResult::deserialize(&*keys).map_err(|error| error.to_string())?;
    for ip in &result.ips {
        if let Some(index) = ip.interface.filter(|index| *index >= result.interfaces.len()) {
            return Err(format!("ips: there is no interface {index}"));
        }
    }
    keys.insert("cniVersion".to_owned(), version.to_string().into());
    if let Some(Value::Array(ips)) = keys.get_mut("ips") {
        for (ip, address) in ips.iter_mut().zip(&result.ips) {
            let Value::Object(keys) = ip else { continue };
            // Up to 0.4.0 an address has to say which version of IP it is of.
            if version < Version::V1_0_0 {
                let of = if address.address.0.is_ipv4() { "4" } else { "6" };
                keys.insert("version".to_owned(), of.into());
            } else {
                keys.remove("version");
            }
        }
    }
    Ok((result, value))
}

/// Programs in Go write `null` for an empty list.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn with_prefix<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(IpAddr, u8), D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text.split_once('/').and_then(|(address, prefix)| {
        let (address, prefix) = (address.parse::<IpAddr>().ok()?, prefix.parse().ok()?);
        let most = if address.is_ipv4() { 32 } else { 128 };
        (prefix <= most).then_some((address, prefix))
    });
    parsed.ok_or_else(|| D::Error::custom(format!("'{text}' is not an address with its prefix")))
}

fn ip<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|error| D::Error::custom(format!("'{text}' is not an address: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{
        "cniVersion": "0.4.0",
        "interfaces": [
            {"name": "cni0", "mac": "00:11:22:33:44:55"},
            {"name": "eth0", "mac": "00:11:22:33:44:66", "sandbox": "/run/netns/web"}
        ],
        "ips": [
            {"version": "4", "address": "10.1.0.5/16", "gateway": "10.1.0.1", "interface": 1},
            {"version": "6", "address": "fd00::5/64", "interface": 1}
        ],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "fd00::1"}],
        "dns": {"nameservers": ["10.1.0.1"]},
        "mine": 7
    }"#;

    #[test]
    fn addresses_gateways_routes_interfaces_and_resolvers_are_read() {
        let (result, _) = read(OLD.as_bytes(), Version::V0_4_0).unwrap();
        let addresses: Vec<_> = result
            .addresses_of("eth0")
            .map(|it| (it.address.0.to_string(), it.address.1))
            .collect();
        assert_eq!(addresses, [("10.1.0.5".to_owned(), 16), ("fd00::5".to_owned(), 64)]);
        assert_eq!(result.ips[0].gateway, Some("10.1.0.1".parse().unwrap()));
        assert_eq!(result.routes[0].destination.1, 0);
        assert_eq!(result.routes[1].gateway, Some("fd00::1".parse().unwrap()));
        assert_eq!(result.interfaces[1].sandbox, "/run/netns/web");
        assert_eq!(result.dns.nameservers, ["10.1.0.1"]);
        assert_eq!(result.addresses_of("cni0").count(), 0);
    }

    #[test]
    fn an_answer_is_brought_into_the_networks_version_and_otherwise_kept() {
        let (_, new) = read(OLD.as_bytes(), Version::V1_1_0).unwrap();
        assert_eq!(new["cniVersion"], "1.1.0");
        assert_eq!(new["ips"][0].get("version"), None);
        assert_eq!(new["mine"], 7);
        let (_, old) = read(new.to_string().as_bytes(), Version::V0_3_1).unwrap();
        assert_eq!(old["cniVersion"], "0.3.1");
        assert_eq!(old["ips"][1]["version"], "6");
    }

    #[test]
    fn empty_lists_may_be_null_or_missing() {
        for text in ["{}", r#"{"interfaces":null,"ips":null,"routes":null,"dns":{}}"#] {
            assert_eq!(read(text.as_bytes(), Version::V1_0_0).unwrap().0, CniResult::default());
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (text, words) in [
            ("", "not JSON"),
            ("[]", "not a JSON object"),
            (r#"{"cniVersion":"0.2.0"}"#, "cniVersion: '0.2.0' is not one"),
            (r#"{"cniVersion":1}"#, "cniVersion: not a string"),
            (r#"{"ips":[{"address":"10.0.0.1"}]}"#, "'10.0.0.1' is not an address with"),
            (r#"{"ips":[{"address":"10.0.0.1/33"}]}"#, "'10.0.0.1/33' is not"),
            (r#"{"ips":[{"address":"10.0.0.1/8","gateway":"x"}]}"#, "'x' is not an address"),
            (r#"{"ips":[{"address":"10.0.0.1/8","interface":0}]}"#, "there is no interface 0"),
            (r#"{"ips":[{"address":"10.0.0.1/8","interface":-1}]}"#, "-1"),
            (r#"{"interfaces":[{}]}"#, "name"),
            (r#"{"routes":[{"dst":"x"}]}"#, "'x' is not"),
        ] {
            let why = read(text.as_bytes(), Version::V1_0_0).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}
