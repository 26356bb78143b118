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
//!
//! `localhost`, and what ends in it, is the asking pod itself, whatever anybody is called (RFC 6761, section 6.3).
//!
//! A pod that is on several networks finds the names of all of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::Name;

use crate::names::Names;
use crate::network::Network;

/// The domain that all endpoints of a user-made network are in: to be searched in its pods' `resolv.conf`.
pub const SEARCH_DOMAIN: &str = "dns.sandbar";

/// What every pod calls itself, and where it is that.
const LOCALHOST: &str = "localhost";
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// What is known of a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Known<'a> {
    /// It is one of the network's, with these addresses, perhaps none.
    Addresses(&'a [IpAddr]),
    /// It is an address of the network's, of an endpoint of this name.
    Pointer(String),
    /// It would be one of the network's, but there is none.
    Nobody,
    /// It is none of the networks'.
    Elsewhere,
}

/// A network's names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zone<'a> {
    pub(crate) network: &'a Network,
    pub(crate) names: &'a Names,
}

impl<'a> Zone<'a> {
    /// The addresses of what is called `text` here, with or without the network's name.
    fn addresses(self, text: &str) -> Option<&'a [IpAddr]> {
        let base = || self.names.addresses(within(text, &self.network.name)?);
        self.names.addresses(text).or_else(base)
    }

    /// What an address of the network leads to.
    fn reverse(self, name: &Name) -> Option<Known<'a>> {
        match reverse(self.network, name) {
            Reverse::Address(address) => Some(match self.names.name(address) {
                Some(name) => Known::Pointer(format!("{name}.{}.", self.network.name)),
                None => Known::Nobody,
            }),
            Reverse::Part => Some(Known::Addresses(&[])),
            Reverse::Other => None,
        }
    }
}

/// What `name` means on any of the networks `zones`, the first of which that knows it counts.
pub(crate) fn look_up<'a>(zones: &[Zone<'a>], name: &Name) -> Known<'a> {
    let text = lower_case(name);
    if text == LOCALHOST || within(&text, LOCALHOST).is_some() {
        return Known::Addresses(&LOOPBACK);
    }
    if text == SEARCH_DOMAIN {
        return Known::Addresses(&[]);
    }
    if let Some(base) = within(&text, SEARCH_DOMAIN) {
        let found = zones.iter().find_map(|zone| zone.names.addresses(base));
        return found.map_or(Known::Nobody, Known::Addresses);
    }
    if let Some(addresses) = zones.iter().find_map(|zone| zone.addresses(&text)) {
        return Known::Addresses(addresses);
    }
    zones.iter().find_map(|zone| zone.reverse(name)).unwrap_or(Known::Elsewhere)
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

    fn known(question: &str) -> String {
        let conf = "network blog\nlisten 10.85.0.1\nsubnet 10.85.0.0/24\nsubnet fd00:85::/64";
        let network: Network = conf.parse().unwrap();
        let endpoints: [Endpoint; 2] = [
            "address 10.85.0.2\naddress fd00:85::2\nname db\nname all".parse().unwrap(),
            "address 10.85.0.3\nname web\nname all\nname www.example.com".parse().unwrap(),
        ];
        let names = endpoints.iter().collect();
        let second: Network =
            "network shop\nlisten 10.86.0.1\nsubnet 10.86.0.0/24".parse().unwrap();
        let endpoint: Endpoint =
            "address 10.86.0.9\nname db\nname till\nname web.blog".parse().unwrap();
        let others = std::iter::once(&endpoint).collect();
        let zones =
            [Zone { network: &network, names: &names }, Zone { network: &second, names: &others }];
        match look_up(&zones, &Name::from_ascii(question).unwrap()) {
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
            assert_eq!(known(name), "10.85.0.2 fd00:85::2", "{name}");
        }
        assert_eq!(known("all.blog."), "10.85.0.2 fd00:85::2 10.85.0.3");
        assert_eq!(known("www.example.com."), "10.85.0.3");
    }

    #[test]
    fn what_would_be_ours_stays_here_and_all_else_goes_on() {
        for name in ["x.dns.sandbar.", "9.0.85.10.in-addr.arpa."] {
            assert_eq!(known(name), "nobody", "{name}");
        }
        let others = ["x.", "x.blog.", "example.com.", "db.example.com.", "xdns.sandbar."];
        for name in
            others.into_iter().chain(["1.1.85.10.in-addr.arpa.", "85.10.in-addr.arpa.", "."])
        {
            assert_eq!(known(name), "elsewhere", "{name}");
        }
        assert_eq!(known("dns.sandbar."), "");
        assert_eq!(known("0.85.10.in-addr.arpa."), "");
    }

    #[test]
    fn localhost_is_the_pod_itself_and_nobody_elses_name() {
        for name in ["localhost.", "LocalHost.", "db.localhost.", "a.b.localhost."] {
            assert_eq!(known(name), "127.0.0.1 ::1", "{name}");
        }
        for name in ["localhost.example.com.", "xlocalhost."] {
            assert_eq!(known(name), "elsewhere", "{name}");
        }
    }

    #[test]
    fn an_address_leads_to_the_first_name() {
        assert_eq!(known("3.0.85.10.in-addr.arpa."), "web.blog.");
        let zeroes = "0.".repeat(23);
        assert_eq!(known(&format!("2.{zeroes}5.8.0.0.0.0.d.f.ip6.arpa.")), "db.blog.");
    }

    #[test]
    fn of_several_networks_the_first_that_knows_a_name_counts() {
        assert_eq!(known("db."), "10.85.0.2 fd00:85::2");
        assert_eq!(known("db.dns.sandbar."), "10.85.0.2 fd00:85::2");
        assert_eq!(known("web.blog."), "10.85.0.3");
        for name in ["till.", "till.shop.", "till.dns.sandbar.", "db.shop."] {
            assert_eq!(known(name), "10.86.0.9", "{name}");
        }
        assert_eq!(known("till.blog."), "elsewhere");
        assert_eq!(known("9.0.86.10.in-addr.arpa."), "db.shop.");
        assert_eq!(known("8.0.86.10.in-addr.arpa."), "nobody");
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
                let known = look_up(&[Zone { network: &network, names: &names }], &name);
                prop_assert!(!inside || matches!(known, Known::Nobody | Known::Addresses(&[])));
            }
        }
    }
}
