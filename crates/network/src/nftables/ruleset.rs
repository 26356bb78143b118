//! The table's chains, rules and sets, which are the same for any number of bridges, pods and ports.
//!
//! ```text
//! set subnets { flags interval }        the subnets of pods
//! set bridges                           the bridges they are on
//! set versions                          the VERSION of these rules
//! map published     proto . port      -> address . port
//! map published_at  ip . proto . port -> address . port
//!
//! prerouting_raw (raw):  iif != lo, from or to 127.0.0.0/8              drop
//! prerouting (dstnat):   to an address of this host                     jump published_ports
//! output (dstnat):       to an address of this host                     jump published_ports
//! published_ports:                                                      dnat by published_at, else by published
//! postrouting (srcnat):  by lo                                          accept
//!                        from a subnet, not by a bridge                 masquerade
//!                        from 127.0.0.0/8, by a bridge                  masquerade
//!                        from a subnet to a subnet, published port      masquerade
//! ```
//!
//! There is no `forward` chain: a verdict of `accept` ends one table's say only, so it could not open what another
//! table closes, and with nothing to drop the chain would have no effect.

use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Hook, InetHookNumber, MetaKey, NfTablesMessage, Operator,
    Register, RuleAttribute, RuleMessage, SetAttribute, SetFlags, SetMessage, TableAttribute,
    TableMessage,
};
use rustix::io::Errno;

use super::{
    Batch, Map, Nftables, TABLE, element,
    expression::{self as x, Expression, Field, Membership},
    transaction::nftables_error,
};
use crate::{Error, ErrorKind, InterfaceName, Result, Subnet, netlink::Answer};

/// To be raised with every change to [`rules`], so that a running host's rules are replaced.
const VERSION: u32 = 1;

const SUBNETS: &str = "subnets";
const BRIDGES: &str = "bridges";
/// (`ruleset` would be a word of nft's language: it could not read its own listing again.)
const VERSIONS: &str = "versions";
const PUBLISHED_PORTS: &str = "published_ports";

/// `RTN_LOCAL`: one of this host's own addresses.
const LOCAL: u32 = 2;
/// The loopback interface's index, the same in every network namespace.
const LOOPBACK: u32 = 1;
/// `IPS_DST_NAT`: the connection's destination was translated.
const DESTINATION_TRANSLATED: u32 = 1 << 5;

// nft's numbers for the types of keys: only `nft list` reads them.
const TYPE_ADDRESS: u32 = 7;
const TYPE_PROTOCOL: u32 = 12;
const TYPE_PORT: u32 = 13;
const TYPE_MARK: u32 = 19;
const TYPE_INTERFACE: u32 = 41;

const FIRST: Register = Register::Reg32_00;
const SECOND: Register = Register::Reg32_01;
const THIRD: Register = Register::Reg32_02;

/// Whether the rules of this version are there and know this bridge: one round trip.
pub(crate) fn is_in_place(
    nftables: &mut Nftables,
    bridge: &InterfaceName,
    subnet: Subnet,
) -> Result<bool> {
    let questions = [
        element::one(VERSIONS, VERSION.to_ne_bytes().to_vec()),
        element::one(BRIDGES, name_key(bridge)),
        element::one(SUBNETS, x::address(subnet.gateway())),
    ];
    let call = format!("nftables GETSETELEM {TABLE} {VERSIONS} {BRIDGES} {SUBNETS}");
    let answers = nftables
        .ask(questions.map(NfTablesMessage::GetSetElement), Answer::One)
        .map_err(|error| Error::system(&call, error))?;
    for answer in answers {
        match answer {
            Ok(_) => {}
            Err(refusal) if refusal.errno() == Errno::NOENT => return Ok(false),
            Err(refusal) => return Err(nftables_error(call, refusal)),
        }
    }
    Ok(true)
}

/// Makes the table, or makes it right, in one transaction; published ports stay.
///
/// Any number of processes may do so at once: the outcome is the same as of one.
pub(crate) fn put_in_place(
    nftables: &mut Nftables,
    bridge: &InterfaceName,
    subnet: Subnet,
) -> Result<()> {
    let call = format!("nftables: make table ip {TABLE} for {bridge}, {subnet}");
    match nftables.commit(whole(bridge, subnet), None) {
        Err(error) => Err(Error::system(call, error)),
        Ok(Ok(())) => Ok(()),
        Ok(Err(failure)) => {
            let kind = match failure.refusal.errno() {
                // Of an expression or a chain type: a module that this kernel does not have.
                Errno::NOENT => Some(ErrorKind::NoNftables),
                Errno::EXIST | Errno::NOTEMPTY => Some(ErrorKind::SubnetTaken),
                _ => None,
            };
            let error = nftables_error(call, failure.refusal);
            Err(match kind {
                Some(kind) => error.with_kind(kind),
                None => error,
            })
        }
    }
}

fn whole(bridge: &InterfaceName, subnet: Subnet) -> Batch {
    let mut batch = Batch::new();
    batch.create(NfTablesMessage::NewTable(TableMessage {
        attributes: vec![TableAttribute::Name(TABLE.to_owned())],
    }));
    for set in sets() {
        batch.create(NfTablesMessage::NewSet(set));
    }
    for chain in chains() {
        batch.create(NfTablesMessage::NewChain(chain));
    }
    // Without a chain's name: the rules of all.
    batch.delete(NfTablesMessage::DeleteRule(RuleMessage {
        attributes: vec![RuleAttribute::Table(TABLE.to_owned())],
    }));
    for (chain, expressions) in rules() {
        batch.append(NfTablesMessage::NewRule(RuleMessage {
            attributes: vec![
                RuleAttribute::Table(TABLE.to_owned()),
                RuleAttribute::Chain(chain.to_owned()),
                RuleAttribute::Expressions(expressions),
            ],
        }));
    }
    batch.delete(NfTablesMessage::DeleteSetElement(element::everything(VERSIONS)));
    let end = subnet.broadcast().to_bits() + 1;
    for elements in [
        element::one(VERSIONS, VERSION.to_ne_bytes().to_vec()),
        element::one(BRIDGES, name_key(bridge)),
        element::interval(SUBNETS, x::address(subnet.base()), end.to_be_bytes().to_vec()),
    ] {
        batch.create(NfTablesMessage::NewSetElement(elements));
    }
    batch
}

fn sets() -> Vec<SetMessage> {
    let concatenation = |types: &[u32]| types.iter().fold(0, |all, one| all << 6 | one);
    let transport = concatenation(&[TYPE_PROTOCOL, TYPE_PORT]);
    let at = concatenation(&[TYPE_ADDRESS, TYPE_PROTOCOL, TYPE_PORT]);
    let destination = concatenation(&[TYPE_ADDRESS, TYPE_PORT]);
    let map = |map: Map, id, key_type, key_length| {
        let mut message = set(map.name(), id, SetFlags::Map, key_type, key_length);
        message.attributes.extend([SetAttribute::DataType(destination), SetAttribute::DataLen(8)]);
        message
    };
    vec![
        of_this_machine(set(VERSIONS, 1, SetFlags::empty(), TYPE_MARK, 4)),
        of_this_machine(set(BRIDGES, 2, SetFlags::empty(), TYPE_INTERFACE, 16)),
        set(SUBNETS, 3, SetFlags::Interval, TYPE_ADDRESS, 4),
        map(Map::Published, 4, transport, 8),
        map(Map::PublishedAt, 5, at, 12),
    ]
}

fn set(name: &str, id: u32, flags: SetFlags, key_type: u32, key_length: u32) -> SetMessage {
    SetMessage {
        attributes: vec![
            SetAttribute::Table(TABLE.to_owned()),
            SetAttribute::Name(name.to_owned()),
            SetAttribute::Id(id),
            SetAttribute::Flags(flags),
            SetAttribute::KeyType(key_type),
            SetAttribute::KeyLen(key_length),
        ],
    }
}

/// Notes for nft that the keys are in this machine's byte order: without that it lists them wrong, and a saved
/// listing could not be loaded again. (`NFTNL_UDATA_SET_KEYBYTEORDER`: a type, a length, a number.)
fn of_this_machine(mut set: SetMessage) -> SetMessage {
    let note = [&[0, 4][..], &1_u32.to_ne_bytes()].concat();
    set.attributes.push(SetAttribute::UserData(note));
    set
}

fn chains() -> Vec<ChainMessage> {
    use InetHookNumber::{LocalOut, PostRouting, PreRouting};
    let named = |name: &str| {
        vec![ChainAttribute::Table(TABLE.to_owned()), ChainAttribute::Name(name.to_owned())]
    };
    let base = |name, kind: &str, hook: InetHookNumber, priority: i32| {
        let mut attributes = named(name);
        attributes.extend([
            ChainAttribute::Type(kind.to_owned()),
            ChainAttribute::Hook(vec![
                Hook::Number(hook.into()),
                Hook::Priority(priority.cast_unsigned()),
            ]),
        ]);
        ChainMessage { attributes }
    };
    vec![
        ChainMessage { attributes: named(PUBLISHED_PORTS) },
        base("prerouting_raw", "filter", PreRouting, -300),
        base("prerouting", "nat", PreRouting, -100),
        base("output", "nat", LocalOut, -100),
        base("postrouting", "nat", PostRouting, 100),
    ]
}

fn rules() -> Vec<(&'static str, Vec<Expression>)> {
    let mut rules = Vec::new();
    // The bridge routes 127.0.0.0/8 (`route_localnet`) and with that takes such packets from pods, too: those to
    // the host's own loopback services (CVE-2020-8558), and those that pretend to come from there.
    for byte in [Field::SOURCE_FIRST_BYTE, Field::DESTINATION_FIRST_BYTE] {
        rules.push((
            "prerouting_raw",
            vec![
                x::meta(MetaKey::Iif, FIRST),
                x::compare(FIRST, Operator::NotEqual, &LOOPBACK.to_ne_bytes()),
                x::load(byte, FIRST),
                x::compare(FIRST, Operator::Equal, &[127]),
                x::drop_packet(),
            ],
        ));
    }
    for chain in ["prerouting", "output"] {
        rules.push((
            chain,
            vec![
                x::destination_type(FIRST),
                x::compare(FIRST, Operator::Equal, &LOCAL.to_ne_bytes()),
                x::jump(PUBLISHED_PORTS),
            ],
        ));
    }
    rules.push((
        PUBLISHED_PORTS,
        vec![
            x::load(Field::DESTINATION, FIRST),
            x::meta(MetaKey::L4Proto, SECOND),
            x::load(Field::DESTINATION_PORT, THIRD),
            x::translate(FIRST, Map::PublishedAt.name(), FIRST),
            x::destination_nat(FIRST, SECOND),
        ],
    ));
    rules.push((
        PUBLISHED_PORTS,
        vec![
            x::meta(MetaKey::L4Proto, FIRST),
            x::load(Field::DESTINATION_PORT, SECOND),
            x::translate(FIRST, Map::Published.name(), FIRST),
            x::destination_nat(FIRST, SECOND),
        ],
    ));
    rules.extend(masquerading().map(|expressions| ("postrouting", expressions)));
    rules
}

fn masquerading() -> [Vec<Expression>; 4] {
    [
        vec![
            x::meta(MetaKey::Oif, FIRST),
            x::compare(FIRST, Operator::Equal, &LOOPBACK.to_ne_bytes()),
            x::accept(),
        ],
        // Out into the world.
        vec![
            x::load(Field::SOURCE, FIRST),
            x::lookup(FIRST, Membership::In, SUBNETS),
            x::meta(MetaKey::Oifname, Register::Reg1),
            x::lookup(Register::Reg1, Membership::NotIn, BRIDGES),
            x::masquerade(),
        ],
        // From the host by way of 127.0.0.1:PORT; the pod's own answers would never leave its loopback interface.
        vec![
            x::load(Field::SOURCE_FIRST_BYTE, FIRST),
            x::compare(FIRST, Operator::Equal, &[127]),
            x::meta(MetaKey::Oifname, Register::Reg1),
            x::lookup(Register::Reg1, Membership::In, BRIDGES),
            x::masquerade(),
        ],
        // From a pod by way of the host to a pod, perhaps itself: it would answer past the host, unrecognised.
        vec![
            x::load(Field::SOURCE, FIRST),
            x::lookup(FIRST, Membership::In, SUBNETS),
            x::load(Field::DESTINATION, FIRST),
            x::lookup(FIRST, Membership::In, SUBNETS),
            x::connection_status(FIRST),
            x::mask(FIRST, DESTINATION_TRANSLATED),
            x::compare(FIRST, Operator::NotEqual, &[0; 4]),
            x::masquerade(),
        ],
    ]
}

/// An interface's name as the kernel compares it: filled up with NULs.
fn name_key(name: &InterfaceName) -> Vec<u8> {
    let mut key = name.as_str().as_bytes().to_vec();
    key.resize(16, 0);
    key
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::Emitable as _;

    use super::*;

    /// (For one byte order.) When this fails the rules have changed: raise [`VERSION`], then note the new sum here.
    #[cfg(target_endian = "little")]
    #[test]
    fn a_change_of_the_rules_needs_a_new_version() {
        let batch = whole(&InterfaceName::from_static("sandbar0"), Subnet::DEFAULT);
        let sum = batch.messages().fold(0xcbf2_9ce4_8422_2325_u64, |sum, message| {
            let mut bytes = vec![0; message.buffer_len()];
            message.emit(&mut bytes);
            bytes
                .iter()
                .fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
        });
        assert_eq!((VERSION, sum), (1, 5_645_328_170_031_949_861));
    }
}
