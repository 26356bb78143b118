//! Which names are the network's own, and what they mean.
//!
//! A pod that is called `db` on the network `blog` is found as
//! - `db`, as with Docker and Podman;
//! - `db.blog`, as with Docker;
//! - `db.dns.sandbar`, as Podman has `db.dns.podman`: a domain to search, so that a look-up of `db` never
//!   goes to the
//!   host's domains first.
//!
//! An address of the network's subnets leads to `db.blog`, as with Docker. What ends in `dns.sandbar` or is
//! an address of the network is never asked of others, whether it is there or not; `x` and `x.blog` are if
//! nobody here is called `x`, for a network may well have the name of a domain.

use std::net::IpAddr;

use hickory_proto::rr::Name;

use crate::names::Names;
use crate::network::Network;

/// The domain that all endpoints of a user-made network are in: to be searched in its pods' `resolv.conf`.
pub const SEARCH_DOMAIN: &str = "dns.sandbar";

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known<'a> {
    /// It is one of the network's, with these addresses, perhaps none.
    Addresses(&'a [IpAddr]),
    /// It is an address of the network's, of an endpoint of this name.
    Pointer(String),
    /// It would be one of the network's, but there is none.
    Nobody,
    /// It is none of the network's.
    Elsewhere,
}

/// What `name` means on `network`.
pub(crate) fn look_up<'a>(network: &Network, names: &'a Names, name: &Name) -> Known<'a> {
    let elsewhere = if network.internal { Known::Nobody } else { Known::Elsewhere };
    let text = lower_case(name);
    if text == SEARCH_DOMAIN {
        return Known::Addresses(&[]);
    }
    if let Some(base) = within(&text, SEARCH_DOMAIN) {
        return names.addresses(base).map_or(Known::Nobody, Known::Addresses);
    }
    let base = within(&text, &network.name).and_then(|base| names.addresses(base));
    if let Some(addresses) = names.addresses(&text).or(base) {
        return Known::Addresses(addresses);
    }
    match reverse(network, name) {
        Reverse::Address(address) => names
            .name(address)
            .map_or(Known::Nobody, |name| Known::Pointer(format!("{name}.{}.", network.name))),
        Reverse::Part => Known::Addresses(&[]),
        Reverse::Other => elsewhere,
    }
}

/// What is before `.domain`.
fn within<'a>(name: &'a str, domain: &str) -> Option<&'a str> {
    name.strip_suffix(domain)?.strip_suffix('.')
}

/// The name as names are kept. What a label of ours can't have, a dot first of all, becomes a character that
/// none has.
fn lower_case(name: &Name) -> String {
    let mut text = String::new();
    for label in name.iter() {
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(label.iter().map(|byte| match byte {
            b'.' => char::REPLACEMENT_CHARACTER,
            byte if byte.is_ascii_graphic() => char::from(byte.to_ascii_lowercase()),
            _ => char::REPLACEMENT_CHARACTER,
        }));
    }
    text
}

enum Reverse {
    /// An address in one of the network's subnets.
    Address(IpAddr),
    /// Between a subnet and its addresses: there, and has nothing.
    Part,
    Other,
}

fn reverse(network: &Network, name: &Name) -> Reverse {
    let Ok(range) = name.parse_arpa_name() else { return Reverse::Other };
    let ours = |subnet: &&crate::Subnet| {
        subnet.contains(range.network()) && subnet.contains(range.broadcast())
    };
    match network.subnets.iter().find(ours) {
        Some(_) if range.prefix_len() == range.max_prefix_len() => Reverse::Address(range.addr()),
        Some(_) => Reverse::Part,
        None => Reverse::Other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::endpoint::Endpoint;

    fn known(question: &str, internal: bool) -> String {
        let conf = "network blog\nlisten 10.85.0.1\nsubnet 10.85.0.0/24\nsubnet fd00:85::/64";
        let network = Network { internal, ..conf.parse().unwrap() };
        let endpoints: [Endpoint; 2] = [
            "address 10.85.0.2\naddress fd00:85::2\nname db\nname all".parse().unwrap(),
            "address 10.85.0.3\nname web\nname all\nname www.example.com".parse().unwrap(),
        ];
        let names = endpoints.iter().collect();
        let name = Name::from_ascii(question).unwrap();
        match look_up(&network, &names, &name) {
            Known::Addresses(addresses) => {
                addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            }
            Known::Pointer(name) => name,
            Known::Nobody => "nobody".into(),
            Known::Elsewhere => "elsewhere".into(),
        }
    }

    #[test]
    fn an_endpoint_is_found_by_name_network_and_search_domain_in_any_case() {
        for name in ["db.", "DB.", "db.blog.", "Db.Blog.", "db.dns.sandbar."] {
            assert_eq!(known(name, false), "10.85.0.2 fd00:85::2", "{name}");
        }
        assert_eq!(known("all.blog.", false), "10.85.0.2 fd00:85::2 10.85.0.3");
        assert_eq!(known("www.example.com.", false), "10.85.0.3");
    }

    #[test]
    fn what_would_be_ours_stays_here_and_all_else_goes_on() {
        for name in ["x.dns.sandbar.", "9.0.85.10.in-addr.arpa."] {
            assert_eq!(known(name, false), "nobody", "{name}");
        }
        let others = ["x.", "x.blog.", "example.com.", "db.example.com.", "xdns.sandbar."];
        for name in
            others.into_iter().chain(["1.1.85.10.in-addr.arpa.", "85.10.in-addr.arpa.", "."])
        {
            assert_eq!(known(name, false), "elsewhere", "{name}");
            assert_eq!(known(name, true), "nobody", "{name}");
        }
        assert_eq!(known("dns.sandbar.", false), "");
        assert_eq!(known("0.85.10.in-addr.arpa.", false), "");
    }

    #[test]
    fn an_address_leads_to_the_first_name() {
        assert_eq!(known("3.0.85.10.in-addr.arpa.", false), "web.blog.");
        let zeroes = "0.".repeat(23);
        assert_eq!(known(&format!("2.{zeroes}5.8.0.0.0.0.d.f.ip6.arpa."), false), "db.blog.");
    }

    proptest! {
        /// Whatever labels a name has, there is no panic, and what is ours alone stays here.
        #[test]
        fn any_labels_are_a_name(
            labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..10), 0..8),
            digits in proptest::collection::vec("[0-9a-f]{1,3}|.", 0..34),
            domain in "|in-addr.arpa|ip6.arpa|blog|dns.sandbar|arpa",
        ) {
            let digits = digits.iter().map(|label| label.as_bytes().to_vec());
            let domain = domain.split('.').map(|label| label.as_bytes().to_vec());
            for labels in [labels, digits.collect()] {
                let all = labels.into_iter().chain(domain.clone()).filter(|label| !label.is_empty());
                let all: Vec<Vec<u8>> = all.collect();
                let inside = all.ends_with(&[b"dns".to_vec(), b"sandbar".to_vec()]);
                let Ok(mut name) = Name::from_labels(all.iter().map(Vec::as_slice)) else { continue };
                name.set_fqdn(true);
                let conf = "network blog\nlisten 10.85.0.1\nsubnet 10.85.0.0/24\nsubnet ::/0";
                let network: Network = conf.parse().unwrap();
                let names = Names::default();
                let known = look_up(&network, &names, &name);
                prop_assert!(!inside || matches!(known, Known::Nobody | Known::Addresses(&[])));
            }
        }
    }
}
