//! Elements of the table's sets and maps.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    DataAttribute, ListAttribute, NfTablesMessage, SetElementAttribute, SetElementFlags,
    SetElementList, SetElementMessage,
};

use super::{TABLE, listed::elements};
use crate::{PodAddresses, PublishedPort};

/// The maps of published ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Map {
    /// Ports published at every IPv4 address of the host: protocol and port to address and port.
    Published,
    /// Ports published at one: address, protocol and port to address and port.
    PublishedAt,
    /// As `Published`, for IPv6.
    Published6,
    /// As `PublishedAt`, for IPv6.
    PublishedAt6,
}

impl Map {
    pub(crate) const ALL: [Self; 4] =
        [Self::Published, Self::PublishedAt, Self::Published6, Self::PublishedAt6];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::PublishedAt => "published_at",
            Self::Published6 => "published6",
            Self::PublishedAt6 => "published_at6",
        }
    }
}

/// Where a published port leads: a pod's address and port, as the map has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination(Vec<u8>);

impl Destination {
    fn new(address: IpAddr, port: u16) -> Self {
        Self([&octets(address)[..], &padded(port)].concat())
    }

    pub(crate) fn is_address(&self, address: IpAddr) -> bool {
        self.0.split_last_chunk::<4>().is_some_and(|(own, _port)| own == octets(address))
    }

    pub(crate) fn is_at(&self, addresses: PodAddresses) -> bool {
        let own = [Some(IpAddr::V4(addresses.v4)), addresses.v6.map(IpAddr::V6)];
        own.into_iter().flatten().any(|own| self.is_address(own))
    }
}

/// A key of one of the maps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Element {
    map: Map,
    key: Vec<u8>,
}

impl Element {
    /// What a port is in the maps: one element, or one for each version of IP; none where the port is published at
    /// an address of a version that the pod has none of.
    pub(crate) fn of(port: &PublishedPort, to: PodAddresses) -> Vec<(Self, Destination)> {
        // Each part of a key fills 32-bit registers, the rest zero.
        let transport =
            [&[port.protocol.number(), 0, 0, 0][..], &padded(port.host_port.get())].concat();
        let leads_to = |address| Destination::new(address, port.container_port.get());
        let v4 = Some(leads_to(to.v4.into()));
        let v6 = to.v6.map(|address| leads_to(address.into()));
        let maps = match port.host_ip {
            None => vec![(Map::Published, v4), (Map::Published6, v6)],
            Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => vec![(Map::Published, v4)],
            Some(IpAddr::V4(_)) => vec![(Map::PublishedAt, v4)],
            Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => vec![(Map::Published6, v6)],
            Some(IpAddr::V6(_)) => vec![(Map::PublishedAt6, v6)],
        };
        let one = port.host_ip.filter(|ip| !ip.is_unspecified());
        let key = [one.map(octets).unwrap_or_default(), transport].concat();
        maps.into_iter()
            .filter_map(|(map, to)| Some((Self { map, key: key.clone() }, to?)))
            .collect()
    }

    /// The one address of the host, if there is one, the protocol's number, and the host's port.
    pub(crate) fn parts(&self) -> Option<(Option<IpAddr>, u8, u16)> {
        let (rest, [high, low, ..]) = self.key.split_last_chunk::<4>()?;
        let (ip, [protocol, ..]) = rest.split_last_chunk::<4>()?;
        let v4 = <[u8; 4]>::try_from(ip).map(IpAddr::from);
        let ip = v4.or_else(|_| <[u8; 16]>::try_from(ip).map(IpAddr::from)).ok();
        Some((ip, *protocol, u16::from_be_bytes([*high, *low])))
    }

    pub(crate) fn map(&self) -> Map {
        self.map
    }

    pub(crate) fn question(&self) -> NfTablesMessage {
        NfTablesMessage::GetSetElement(one(self.map.name(), self.key.clone()))
    }

    pub(crate) fn removal(&self) -> NfTablesMessage {
        NfTablesMessage::DeleteSetElement(one(self.map.name(), self.key.clone()))
    }

    pub(crate) fn leading_to(&self, destination: Destination) -> NfTablesMessage {
        NfTablesMessage::NewSetElement(list(
            self.map.name(),
            vec![vec![
                SetElementAttribute::Key(DataAttribute::Value(self.key.clone())),
                SetElementAttribute::Data(DataAttribute::Value(destination.0)),
            ]],
        ))
    }

    /// All elements of a map that an answer has, and where they lead.
    pub(crate) fn read(map: Map, answer: &[u8]) -> Vec<(Self, Destination)> {
        elements(answer)
            .filter_map(|listed| {
                let element = Self { map, key: listed.key.to_vec() };
                Some((element, Destination(listed.data?.to_vec())))
            })
            .collect()
    }
}

/// A question for all elements of a map.
pub(crate) fn all_of(map: Map) -> NfTablesMessage {
    NfTablesMessage::GetSetElement(SetElementMessage { attributes: names(map.name()) })
}

/// One key of a set.
pub(super) fn one(set: &str, key: Vec<u8>) -> SetElementMessage {
    list(set, vec![vec![SetElementAttribute::Key(DataAttribute::Value(key))]])
}

/// A set's keys from `first` to `last`.
pub(super) fn interval(set: &str, first: Vec<u8>, last: Vec<u8>) -> SetElementMessage {
    // The kernel wants the key after the last.
    let mut end = last;
    for byte in end.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    list(
        set,
        vec![
            vec![SetElementAttribute::Key(DataAttribute::Value(first))],
            vec![
                SetElementAttribute::Flags(SetElementFlags::IntervalEnd),
                SetElementAttribute::Key(DataAttribute::Value(end)),
            ],
        ],
    )
}

/// A set's pairs of keys, each from the first to the last of its two.
pub(super) fn pair(set: &str, from: [IpAddr; 2], to: [IpAddr; 2]) -> SetElementMessage {
    let both = |at: usize| [octets(from[at]), octets(to[at])].concat();
    range(set, both(0), both(1))
}

/// A set's keys, of several parts, from `first` to `last` in each.
pub(super) fn range(set: &str, first: Vec<u8>, last: Vec<u8>) -> SetElementMessage {
    /// `NFTA_DATA_VALUE`.
    const VALUE: u16 = 1;
    list(
        set,
        vec![vec![
            SetElementAttribute::Key(DataAttribute::Value(first)),
            SetElementAttribute::KeyEnd(vec![DefaultNla::new(VALUE, last)]),
        ]],
    )
}

/// All elements of a set, to be removed.
pub(super) fn everything(set: &str) -> SetElementMessage {
    SetElementMessage { attributes: names(set) }
}

fn list(set: &str, elements: Vec<Vec<SetElementAttribute>>) -> SetElementMessage {
    let mut attributes = names(set);
    attributes
        .push(SetElementList::Elements(elements.into_iter().map(ListAttribute::Element).collect()));
    SetElementMessage { attributes }
}

fn names(set: &str) -> Vec<SetElementList> {
    vec![SetElementList::Table(TABLE.to_owned()), SetElementList::Set(set.to_owned())]
}

/// An address as it is in a register or a set.
pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// A port in network byte order, and the rest of its register.
fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, Ipv6Addr},
        num::NonZeroU16,
    };

    use netlink_packet_core::Emitable as _;

    use super::*;
    use crate::Protocol;

    const BOTH: PodAddresses = PodAddresses {
        v4: Ipv4Addr::new(10, 84, 0, 2),
        v6: Some(Ipv6Addr::new(0xfd00, 0x84, 0, 0, 0, 0, 0, 2)),
    };

    fn port(host_ip: Option<IpAddr>) -> PublishedPort {
        let [host_port, container_port] = [8080, 80].map(|port| NonZeroU16::new(port).unwrap());
        PublishedPort { host_ip, host_port, container_port, protocol: Protocol::Udp }
    }

    #[test]
    fn keys_fill_registers() {
        let elements = Element::of(&port(None), BOTH);
        assert_eq!(elements.len(), 2);
        for ((element, _), map) in elements.iter().zip([Map::Published, Map::Published6]) {
            assert_eq!(element.map, map);
            assert_eq!(element.key, [17, 0, 0, 0, 0x1f, 0x90, 0, 0]);
        }
        let at = Element::of(&port(Some(Ipv4Addr::LOCALHOST.into())), BOTH);
        assert_eq!(at[0].0.key, [127, 0, 0, 1, 17, 0, 0, 0, 0x1f, 0x90, 0, 0]);
        assert_eq!((at[0].0.map, at.len()), (Map::PublishedAt, 1));
        assert_eq!(at[0].0.parts(), Some((Some(Ipv4Addr::LOCALHOST.into()), 17, 8080)));
        assert_eq!(elements[0].0.parts(), Some((None, 17, 8080)));
        let at = Element::of(&port(Some(Ipv6Addr::LOCALHOST.into())), BOTH);
        assert_eq!((at[0].0.map, at[0].0.key.len(), at.len()), (Map::PublishedAt6, 24, 1));
        let without = PodAddresses::from(BOTH.v4);
        assert_eq!(Element::of(&port(None), without).len(), 1);
        assert!(Element::of(&port(Some(Ipv6Addr::LOCALHOST.into())), without).is_empty());
    }

    #[test]
    fn an_element_reads_back_the_same() {
        for (element, destination) in Element::of(&port(None), BOTH) {
            let message = element.leading_to(destination.clone());
            let mut bytes = vec![2, 0, 0, 0];
            bytes.resize(4 + message.buffer_len(), 0);
            message.emit(&mut bytes[4..]);
            assert_eq!(Element::read(element.map, &bytes), [(element, destination.clone())]);
            assert!(destination.is_at(BOTH));
            assert!(!destination.is_at(Ipv4Addr::new(10, 84, 0, 3).into()));
        }
    }

    #[test]
    fn a_mangled_answer_has_no_elements() {
        assert!(Element::read(Map::Published, &[2, 0, 0]).is_empty());
        assert!(Element::read(Map::Published, &[2, 0, 0, 0, 255, 0, 3, 0]).is_empty());
    }

    #[test]
    fn an_interval_ends_behind_its_last() {
        let end = |last: &[u8]| {
            let message = interval("set", vec![0; last.len()], last.to_vec());
            let message = NfTablesMessage::NewSetElement(message);
            let mut bytes = vec![0; message.buffer_len()];
            message.emit(&mut bytes);
            bytes[bytes.len() - last.len()..].to_vec()
        };
        assert_eq!(end(&[10, 84, 255, 255]), [10, 85, 0, 0]);
        assert_eq!(end(&[10, 84, 0, 7]), [10, 84, 0, 8]);
    }
}
