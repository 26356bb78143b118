//! Which entries of connection tracking the kernel is asked for: there may be a hundred thousand, nearly all of TCP.

use std::collections::BTreeMap;

use netlink_packet_core::{DefaultNla, Emitable, NLA_F_NESTED};
use netlink_packet_netfilter::{NetfilterMessage, conntrack::ConntrackMessage};

use super::{DESTINATION_PORT, ORIGINAL, PROTOCOL, TUPLE_TRANSPORT, header};

/// `IPCTNL_MSG_CT_GET`.
const GET: u8 = 1;
/// `AF_INET`, `AF_INET6`: with a filter one of them has to be named.
const FAMILIES: [u8; 2] = [2, 10];
/// `CTA_FILTER` (Linux 5.8; unknown before and passed over, so that all is told), its `CTA_FILTER_ORIG_FLAGS`, and which
/// parts of the tuple these say to compare: `CTA_FILTER_F_CTA_PROTO_NUM`, `CTA_FILTER_F_CTA_PROTO_DST_PORT`.
const FILTER: u16 = 25;
const FLAGS: u16 = 1;
const BY_PROTOCOL: u32 = 1 << 3;
const BY_PORT: u32 = 1 << 5;

/// For all entries.
pub(super) fn all() -> NetfilterMessage {
    NetfilterMessage::new(header(0), ConntrackMessage::Get(Vec::new()))
}

/// For those that were sent to such ports, and some more: a filter is for one port of a protocol or for all of them.
pub(super) fn to_ports(ports: impl Iterator<Item = (u8, u16)>) -> Vec<NetfilterMessage> {
    let mut one_each: BTreeMap<u8, Option<u16>> = BTreeMap::new();
    for (protocol, port) in ports {
        one_each.entry(protocol).and_modify(|port| *port = None).or_insert(Some(port));
    }
    let of = |(protocol, port)| FAMILIES.map(|family| filtered(family, protocol, port));
    one_each.into_iter().flat_map(of).collect()
}

fn filtered(family: u8, protocol: u8, port: Option<u16>) -> NetfilterMessage {
    let flags = BY_PROTOCOL | port.map_or(0, |_| BY_PORT);
    let transport: Vec<DefaultNla> = [DefaultNla::new(PROTOCOL, vec![protocol])]
        .into_iter()
        .chain(port.map(|port| DefaultNla::new(DESTINATION_PORT, port.to_be_bytes().to_vec())))
        .collect();
    let attributes = vec![
        nested(ORIGINAL, &[nested(TUPLE_TRANSPORT, &transport)]),
        nested(FILTER, &[DefaultNla::new(FLAGS, flags.to_ne_bytes().to_vec())]),
    ];
    let message = ConntrackMessage::Other { message_type: GET, attributes };
    NetfilterMessage::new(header(family), message)
}

fn nested(kind: u16, attributes: &[DefaultNla]) -> DefaultNla {
    let mut value = vec![0; attributes.buffer_len()];
    attributes.emit(&mut value);
    DefaultNla::new(kind | NLA_F_NESTED, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::{find, u32_of};

    #[test]
    fn one_port_of_a_protocol_is_asked_for_and_several_are_not() {
        let asked = |ports: &[(u8, u16)]| -> Vec<(u8, u32)> {
            let questions = to_ports(ports.iter().copied()).into_iter();
            let read = |question: NetfilterMessage| {
                let mut bytes = vec![0; question.buffer_len()];
                question.emit(&mut bytes);
                let attributes = &bytes[4..];
                let transport = find(find(attributes, ORIGINAL).unwrap(), TUPLE_TRANSPORT).unwrap();
                let flags = u32_of(find(attributes, FILTER).unwrap(), FLAGS).unwrap();
                assert_eq!(find(transport, DESTINATION_PORT).is_some(), flags & BY_PORT != 0);
                (find(transport, PROTOCOL).unwrap()[0], flags)
            };
            questions.map(read).collect()
        };
        let both = BY_PROTOCOL | BY_PORT;
        assert_eq!(asked(&[(17, 53)]), [(17, both), (17, both)]);
        assert_eq!(
            asked(&[(17, 53), (132, 5), (17, 54)]),
            [(17, BY_PROTOCOL), (17, BY_PROTOCOL), (132, both), (132, both)]
        );
    }
}
