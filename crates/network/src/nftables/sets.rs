//! The table's sets and maps: all that differs from one host, bridge or port to another.

use netlink_packet_core::{DefaultNla, Emitable as _, NLA_F_NESTED};
use netlink_packet_netfilter::nftables::{SetAttribute, SetDescription, SetFlags, SetMessage};

use super::{Map, TABLE};
use crate::{InterfaceName, netlink::attribute};

/// The subnets of pods.
pub(super) const SUBNETS: &str = "subnets";
pub(super) const SUBNETS_6: &str = "subnets6";
/// Two of them that are one link for some pod: each with itself, and with the addresses that pods of it have elsewhere.
pub(super) const SAME_NETWORK: &str = "same_network";
pub(super) const SAME_NETWORK_6: &str = "same_network6";
/// The bridges they are on.
pub(super) const BRIDGES: &str = "bridges";
/// Each bridge twice: nft compares a packet's two interfaces with each other only through a set.
pub(super) const SAME_BRIDGE: &str = "same_bridge";
/// The bridges whose pods reach, and are reached by, the host alone.
pub(super) const INTERNAL: &str = "internal";
/// The bridges whose pods reach no other bridge's.
pub(super) const ISOLATED: &str = "isolated";
/// `::1` where published ports can be reached by it.
pub(super) const LOOPBACKS: &str = "loopbacks";
/// (`ruleset` would be a word of nft's language: it could not read its own listing again.)
pub(super) const VERSIONS: &str = "versions";

// nft's numbers for the types of keys: only `nft list` reads them.
const TYPE_ADDRESS: u32 = 7;
const TYPE_ADDRESS_6: u32 = 8;
const TYPE_PROTOCOL: u32 = 12;
const TYPE_PORT: u32 = 13;
const TYPE_MARK: u32 = 19;
const TYPE_INTERFACE: u32 = 41;

pub(super) fn all() -> Vec<SetMessage> {
    let map = |map: Map, id, key: Key, data: Key| {
        let mut message = set(map.name(), id, SetFlags::Map, key);
        message.attributes.extend([SetAttribute::DataType(data.0), SetAttribute::DataLen(data.1)]);
        message
    };
    let transport = || Key::of(&[(TYPE_PROTOCOL, 4), (TYPE_PORT, 4)]);
    let at = |kind, length| Key::of(&[(kind, length), (TYPE_PROTOCOL, 4), (TYPE_PORT, 4)]);
    let to = |kind, length| Key::of(&[(kind, length), (TYPE_PORT, 4)]);
    let interface = || Key(TYPE_INTERFACE, 16);
    let (v4, v6) = ((TYPE_ADDRESS, 4), (TYPE_ADDRESS_6, 16));
    let plain = SetFlags::empty();
    vec![
        of_this_machine(set(VERSIONS, 1, plain, Key(TYPE_MARK, 4))),
        of_this_machine(set(BRIDGES, 2, plain, interface())),
        of_this_machine(set(INTERNAL, 3, plain, interface())),
        of_this_machine(set(ISOLATED, 4, plain, interface())),
        set(SAME_BRIDGE, 5, plain, Key::of(&[(TYPE_INTERFACE, 16), (TYPE_INTERFACE, 16)])),
        set(SUBNETS, 6, SetFlags::Interval, Key(v4.0, v4.1)),
        set(SUBNETS_6, 7, SetFlags::Interval, Key(v6.0, v6.1)),
        set(LOOPBACKS, 8, plain, Key(v6.0, v6.1)),
        map(Map::Published, 9, transport(), to(v4.0, v4.1)),
        map(Map::PublishedAt, 10, at(v4.0, v4.1), to(v4.0, v4.1)),
        map(Map::Published6, 11, transport(), to(v6.0, v6.1)),
        map(Map::PublishedAt6, 12, at(v6.0, v6.1), to(v6.0, v6.1)),
        pairs(SAME_NETWORK, 13, v4),
        pairs(SAME_NETWORK_6, 14, v6),
    ]
}

/// An interface's name as the kernel compares it: filled up with NULs.
pub(super) fn name_key(name: &InterfaceName) -> Vec<u8> {
    let mut key = name.as_str().as_bytes().to_vec();
    key.resize(16, 0);
    key
}

/// The type and the length of a key or a value.
#[derive(Clone, Copy)]
struct Key(u32, u32);

impl Key {
    /// Several in a row, each a multiple of four bytes.
    fn of(parts: &[(u32, u32)]) -> Self {
        parts.iter().fold(Self(0, 0), |Self(types, length), (kind, more)| {
            Self(types << 6 | kind, length + more)
        })
    }
}

fn set(name: &str, id: u32, flags: SetFlags, key: Key) -> SetMessage {
    SetMessage {
        attributes: vec![
            SetAttribute::Table(TABLE.to_owned()),
            SetAttribute::Name(name.to_owned()),
            SetAttribute::Id(id),
            SetAttribute::Flags(flags),
            SetAttribute::KeyType(key.0),
            SetAttribute::KeyLen(key.1),
        ],
    }
}

/// A set of pairs of intervals of one type.
fn pairs(name: &str, id: u32, part: (u32, u32)) -> SetMessage {
    /// `NFT_SET_CONCAT`, `NFTA_LIST_ELEM`, `NFTA_SET_FIELD_LEN`.
    const CONCATENATED: SetFlags = SetFlags::from_bits_retain(0x80);
    const ENTRY: u16 = 1;
    const LENGTH: u16 = 1;
    let mut set = set(name, id, SetFlags::Interval | CONCATENATED, Key::of(&[part, part]));
    let mut length = vec![0; 8];
    attribute(LENGTH, part.1).emit(&mut length);
    let entry = || DefaultNla::new(ENTRY | NLA_F_NESTED, length.clone());
    let parts = SetDescription::Concat(vec![entry(), entry()]);
    set.attributes.push(SetAttribute::Description(vec![parts]));
    set
}

/// Notes for nft that the keys are in this machine's byte order: without that it lists them wrong, and a saved
/// listing could not be loaded again. (`NFTNL_UDATA_SET_KEYBYTEORDER`: a type, a length, a number.)
fn of_this_machine(mut set: SetMessage) -> SetMessage {
    let note = [&[0, 4][..], &1_u32.to_ne_bytes()].concat();
    set.attributes.push(SetAttribute::UserData(note));
    set
}
