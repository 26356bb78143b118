//! `--add-host`: a line of `/etc/hosts`.

use std::str::FromStr;

use sandbar_engine::HostAddress;
use sandbar_spec::Invalid;

/// A name and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostEntry {
    pub(crate) name: String,
    pub(crate) address: HostAddress,
}

impl FromStr for HostEntry {
    type Err = Invalid;

    /// `NAME:IP` or `NAME=IP`; the address may be in brackets.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason: &str| Invalid::new("host", text, reason);
        let separator = text.find([':', '=']);
        let (name, address) = separator
            .and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?)))
            .ok_or_else(|| wrong("NAME:IP is needed"))?;
        check_name(name).map_err(wrong)?;
        if address == "host-gateway" {
            return Ok(Self { name: name.to_owned(), address: HostAddress::Gateway });
        }
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address =
            bare.unwrap_or(address).parse().map(HostAddress::Ip).map_err(|_not_an_ip| {
                wrong("after the name an IP address or host-gateway is needed")
            })?;
        Ok(Self { name: name.to_owned(), address })
    }
}

/// Whether `name` can be a host's: what would be more than one word in `/etc/hosts` can't.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if name.is_empty() || name.len() > 253 {
        Err("a host name has 1 to 253 characters")
    } else if !name.bytes().all(allowed) || name.starts_with(['-', '.']) {
        Err("a host name has letters, digits, '-', '.' and '_' alone")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_an_address() {
        for (text, name, address) in [
            ("db:10.0.0.1", "db", "10.0.0.1"),
            ("db.local=10.0.0.1", "db.local", "10.0.0.1"),
            ("v6:::1", "v6", "::1"),
            ("v6:[fe80::1]", "v6", "fe80::1"),
        ] {
            let entry: HostEntry = text.parse().unwrap();
            let address = HostAddress::Ip(address.parse().unwrap());
            assert_eq!((entry.name.as_str(), entry.address), (name, address));
        }
        let entry: HostEntry = "host:host-gateway".parse().unwrap();
        assert_eq!(entry.address, HostAddress::Gateway);
        for bad in ["", "db", ":1.2.3.4", "db:", "db:x", "a b:1.2.3.4", "a\nb:1.2.3.4", "-a:::1"] {
            assert!(bad.parse::<HostEntry>().is_err(), "{bad:?}");
        }
    }
}
