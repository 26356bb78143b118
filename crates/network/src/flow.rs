//! Flows that connection tracking goes on translating, or not, as when they began.
//!
//! The first packet of a flow decides for all that follow. A TCP connection ends, and the next one is another; what is
//! sent by UDP again and again from one port is one flow for ever. Docker and kube-proxy remove such entries, too.

mod question;

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, UdpSocket},
};

use netlink_packet_core::{DefaultNla, NLA_F_NESTED};
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, conntrack::ConntrackMessage};

use crate::{
    Protocol, PublishedPort,
    netlink::{Answer, Request, Socket, bytes_at, find},
    nftables::{Destination, Element},
};

/// How many entries are removed at once: the answers wait in the socket's buffer.
const AT_ONCE: usize = 64;
/// `struct nfgenmsg`, before the attributes of every netfilter message.
const HEADER: usize = 4;
/// `IPCTNL_MSG_CT_DELETE`.
const DELETE: u8 = 2;
/// `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`, `CTA_STATUS`, `CTA_ID`, `CTA_ZONE`.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const STATUS: u16 = 3;
const ID: u16 = 12;
const ZONE: u16 = 18;
/// In a tuple `CTA_TUPLE_IP`, `CTA_TUPLE_PROTO`; in these `CTA_IP_V4_SRC` and so on, `CTA_PROTO_NUM`,
/// `CTA_PROTO_DST_PORT`.
const TUPLE_ADDRESSES: u16 = 1;
const TUPLE_TRANSPORT: u16 = 2;
const SOURCES: [u16; 2] = [1, 3];
const DESTINATIONS: [u16; 2] = [2, 4];
const PROTOCOL: u16 = 1;
const DESTINATION_PORT: u16 = 3;
/// `IPS_DST_NAT`.
const DESTINATION_TRANSLATED: u32 = 1 << 5;

/// What an entry of connection tracking says of a flow.
#[derive(Debug, PartialEq, Eq)]
struct Flow {
    protocol: u8,
    /// Where it was sent.
    to: (IpAddr, u16),
    /// Who answers.
    by: IpAddr,
    is_translated: bool,
}

/// By protocol and port of the host.
type ByPort<T> = HashMap<(u8, u16), Vec<T>>;

/// Has flows to ports that were published just now begin anew: those to this host that were not translated.
pub(crate) fn forget_untranslated(ports: &[PublishedPort]) {
    let mut meant: ByPort<Option<IpAddr>> = HashMap::new();
    for port in ports.iter().filter(|port| outlasts(port.protocol.number())) {
        let ip = port.host_ip.filter(|ip| !ip.is_unspecified());
        meant.entry((port.protocol.number(), port.host_port.get())).or_default().push(ip);
    }
    forget(&meant, |flow, ip| {
        // What only passes through keeps its entry: nobody can be bound to an address that is not the host's.
        !flow.is_translated
            && ip.is_none_or(|ip| ip == flow.to.0)
            && UdpSocket::bind((flow.to.0, 0)).is_ok()
    });
}

/// Ends flows through ports that were published until now.
pub(crate) fn forget_translated(published: &[(Element, Destination)]) {
    let mut meant: ByPort<(Option<IpAddr>, &Destination)> = HashMap::new();
    for (element, led) in published {
        if let Some((ip, protocol, port)) = element.parts()
            && outlasts(protocol)
        {
            meant.entry((protocol, port)).or_default().push((ip, led));
        }
    }
    forget(&meant, |flow, (ip, led)| {
        flow.is_translated && ip.is_none_or(|ip| ip == flow.to.0) && led.is_address(flow.by)
    });
}

/// Whether a flow of this protocol goes on when its port has become another's. (An SCTP association, too: both ends
/// repeat what they sent for minutes.)
fn outlasts(protocol: u8) -> bool {
    [Protocol::Udp, Protocol::Sctp].iter().any(|it| it.number() == protocol)
}

/// Removes the entries of these ports that are meant; without any port nothing is asked. An entry that can't be removed,
/// as on a kernel without `nf_conntrack_netlink`, ends by itself when nothing was sent for a while (three minutes at
/// the most, for UDP): no failure of the caller's.
fn forget<T>(ports: &ByPort<T>, is_meant: impl Fn(&Flow, &T) -> bool) {
    if ports.is_empty() {
        return;
    }
    let Ok(mut socket) = Socket::netfilter() else { return };
    let mut entries = HashSet::new();
    let mut list = |question| {
        let listed = socket.list(question, |entry| {
            let of_port = Flow::read(entry)
                .and_then(|flow| Some((ports.get(&(flow.protocol, flow.to.1))?, flow)));
            if of_port.is_some_and(|(all, flow)| all.iter().any(|meant| is_meant(&flow, meant))) {
                entries.insert(entry.to_vec());
            }
        });
        matches!(listed, Ok(Ok(())))
    };
    let mut questions = question::to_ports(ports.keys().copied()).into_iter();
    // Where one that names what it wants is refused, all are asked for.
    if !questions.all(&mut list) && !list(question::all()) {
        return;
    }
    let entries: Vec<_> = entries.into_iter().collect();
    for entries in entries.chunks(AT_ONCE) {
        // One that ended meanwhile is refused, and so it should be.
        if socket.exchange(entries.iter().map(|entry| removal(entry))).is_err() {
            return;
        }
    }
}

impl Flow {
    fn read(entry: &[u8]) -> Option<Self> {
        let attributes = entry.get(HEADER..)?;
        let [original, reply] = [ORIGINAL, REPLY].map(|tuple| find(attributes, tuple));
        let transport = find(original?, TUPLE_TRANSPORT)?;
        let status = u32::from_be_bytes(bytes_at(find(attributes, STATUS)?, 0)?);
        let port = u16::from_be_bytes(bytes_at(find(transport, DESTINATION_PORT)?, 0)?);
        Some(Self {
            protocol: *find(transport, PROTOCOL)?.first()?,
            to: (address(original?, DESTINATIONS)?, port),
            by: address(reply?, SOURCES)?,
            is_translated: status & DESTINATION_TRANSLATED != 0,
        })
    }
}

/// An address of a tuple, by its attributes for IPv4 and for IPv6.
fn address(tuple: &[u8], [v4, v6]: [u16; 2]) -> Option<IpAddr> {
    let addresses = find(tuple, TUPLE_ADDRESSES)?;
    let v4 = find(addresses, v4).and_then(|it| bytes_at::<4>(it, 0)).map(IpAddr::from);
    v4.or_else(|| find(addresses, v6).and_then(|it| bytes_at::<16>(it, 0)).map(IpAddr::from))
}

/// Removes this one entry, not another that has come in its place.
fn removal(entry: &[u8]) -> Request<NetfilterMessage> {
    let attributes = entry.get(HEADER..).unwrap_or_default();
    let own = [(ORIGINAL, NLA_F_NESTED), (ID, 0), (ZONE, 0)];
    let own = own.into_iter().filter_map(|(kind, flag)| {
        find(attributes, kind).map(|value| DefaultNla::new(kind | flag, value.to_vec()))
    });
    let message = ConntrackMessage::Other { message_type: DELETE, attributes: own.collect() };
    let message =
        NetfilterMessage::new(header(entry.first().copied().unwrap_or_default()), message);
    Request { message, flags: 0, answer: Answer::Ack }
}

fn header(family: u8) -> NetfilterHeader {
    NetfilterHeader::new(family.into(), 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn tuple(from: [u8; 4], to: [u8; 4], to_port: u16) -> Vec<u8> {
        let addresses = [attribute(1, &from), attribute(2, &to)].concat();
        let transport = [attribute(1, &[17]), attribute(3, &to_port.to_be_bytes())].concat();
        [attribute(1, &addresses), attribute(2, &transport)].concat()
    }

    #[test]
    fn a_flow_is_read_and_a_mangled_one_is_none() {
        let entry = [
            vec![2, 0, 0, 0],
            attribute(ORIGINAL, &tuple([192, 0, 2, 2], [192, 0, 2, 1], 53)),
            attribute(REPLY, &tuple([10, 84, 0, 2], [192, 0, 2, 2], 5000)),
            attribute(STATUS, &0x2e_u32.to_be_bytes()),
        ]
        .concat();
        let flow = Flow::read(&entry).unwrap();
        assert_eq!(flow.to, ("192.0.2.1".parse().unwrap(), 53));
        assert_eq!(flow.by, "10.84.0.2".parse::<IpAddr>().unwrap());
        assert!(flow.protocol == 17 && flow.is_translated);
        for length in 0..entry.len() {
            assert_eq!(Flow::read(&entry[..length]), None, "{length}");
        }
    }
}
