//! Elements of the table's sets and maps.

use std::net::Ipv4Addr;

use netlink_packet_netfilter::nftables::{
    DataAttribute, ListAttribute, NfTablesMessage, SetElementAttribute, SetElementFlags,
    SetElementList, SetElementMessage,
};

use super::{TABLE, transaction::elements};
use crate::PublishedPort;

/// The maps of published ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Map {
    /// Ports published at every address of the host: protocol and port to address and port.
    Published,
    /// Ports published at one: address, protocol and port to address and port.
    PublishedAt,
}

impl Map {
    pub(crate) const ALL: [Self; 2] = [Self::Published, Self::PublishedAt];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::PublishedAt => "published_at",
        }
    }
}

/// Where a published port leads: a pod's address and port, as the map has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination(Vec<u8>);

impl Destination {
    pub(crate) fn new(address: Ipv4Addr, port: u16) -> Self {
        Self([&address.octets()[..], &padded(port)].concat())
    }

    pub(crate) fn is_at(&self, address: Ipv4Addr) -> bool {
        self.0.starts_with(&address.octets())
    }
}

/// A key of one of the maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    map: Map,
    key: Vec<u8>,
}

impl Element {
    pub(crate) fn of(port: &PublishedPort) -> Self {
        // Each part of a key fills 32-bit registers, the rest zero.
        let transport =
            [&[port.protocol.number(), 0, 0, 0][..], &padded(port.host_port.get())].concat();
        match port.host_ip {
            None => Self { map: Map::Published, key: transport },
            Some(ip) => {
                Self { map: Map::PublishedAt, key: [&ip.octets()[..], &transport].concat() }
            }
        }
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
        let lists = elements(answer).map(|message| message.attributes).unwrap_or_default();
        lists
            .into_iter()
            .filter_map(|attribute| match attribute {
                SetElementList::Elements(elements) => Some(elements),
                _ => None,
            })
            .flatten()
            .filter_map(|element| match element {
                ListAttribute::Element(attributes) => entry(map, attributes),
                _ => None,
            })
            .collect()
    }
}

fn entry(map: Map, attributes: Vec<SetElementAttribute>) -> Option<(Element, Destination)> {
    let (mut key, mut data) = (None, None);
    for attribute in attributes {
        match attribute {
            SetElementAttribute::Key(DataAttribute::Value(value)) => key = Some(value),
            SetElementAttribute::Data(DataAttribute::Value(value)) => data = Some(value),
            _ => {}
        }
    }
    Some((Element { map, key: key? }, Destination(data?)))
}

/// A question for all elements of a map.
pub(crate) fn all_of(map: Map) -> NfTablesMessage {
    NfTablesMessage::GetSetElement(SetElementMessage { attributes: names(map.name()) })
}

/// One key of a set.
pub(super) fn one(set: &str, key: Vec<u8>) -> SetElementMessage {
    list(set, vec![vec![SetElementAttribute::Key(DataAttribute::Value(key))]])
}

/// A set's keys from `first` up to, and without, `end`.
pub(super) fn interval(set: &str, first: Vec<u8>, end: Vec<u8>) -> SetElementMessage {
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

/// A port in network byte order, and the rest of its register.
fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use netlink_packet_core::Emitable as _;

    use super::*;
    use crate::Protocol;

    fn port(host_ip: Option<Ipv4Addr>) -> PublishedPort {
        let [host_port, container_port] = [8080, 80].map(|port| NonZeroU16::new(port).unwrap());
        PublishedPort { host_ip, host_port, container_port, protocol: Protocol::Udp }
    }

    #[test]
    fn keys_fill_registers() {
        assert_eq!(Element::of(&port(None)).key, [17, 0, 0, 0, 0x1f, 0x90, 0, 0]);
        let at = Element::of(&port(Some(Ipv4Addr::LOCALHOST)));
        assert_eq!(at.key, [127, 0, 0, 1, 17, 0, 0, 0, 0x1f, 0x90, 0, 0]);
        assert_eq!(at.map, Map::PublishedAt);
    }

    #[test]
    fn an_element_reads_back_the_same() {
        let address = Ipv4Addr::new(10, 84, 0, 2);
        let destination = Destination::new(address, 80);
        let element = Element::of(&port(None));
        let message = element.leading_to(destination.clone());
        let mut bytes = vec![2, 0, 0, 0];
        bytes.resize(4 + message.buffer_len(), 0);
        message.emit(&mut bytes[4..]);
        assert_eq!(Element::read(Map::Published, &bytes), [(element, destination.clone())]);
        assert!(destination.is_at(address));
        assert!(!destination.is_at(Ipv4Addr::new(10, 84, 0, 3)));
    }

    #[test]
    fn a_mangled_answer_has_no_elements() {
        assert!(Element::read(Map::Published, &[2, 0, 0]).is_empty());
        assert!(Element::read(Map::Published, &[2, 0, 0, 0, 255, 0, 3, 0]).is_empty());
    }
}
