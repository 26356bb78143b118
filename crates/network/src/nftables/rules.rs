//! The table's chains and rules, which are the same for any number of bridges, pods and ports.

use std::net::Ipv6Addr;

use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Hook, InetHookNumber, MetaKey, Operator, Register,
};

use super::{
    Map, TABLE,
    expression::{self as x, Expression, Family, Field, Membership},
    sets::{
        BRIDGES, INTERNAL, ISOLATED, LOOPBACKS, SAME_BRIDGE, SAME_NETWORK, SAME_NETWORK_6, SUBNETS,
        SUBNETS_6,
    },
};

const PREROUTING_RAW: &str = "prerouting_raw";
const PREROUTING: &str = "prerouting";
const OUTPUT: &str = "output";
const FORWARD: &str = "forward";
const POSTROUTING: &str = "postrouting";
const PUBLISHED_PORTS: &str = "published_ports";

/// `NF_ACCEPT`.
const ACCEPT: u32 = 1;
/// `RTN_LOCAL`: one of this host's own addresses.
const LOCAL: u32 = 2;
/// The loopback interface's index, the same in every network namespace.
const LOOPBACK: u32 = 1;
/// `IPS_DST_NAT`: the connection's destination was translated.
const DESTINATION_TRANSLATED: u32 = 1 << 5;
/// `NF_CT_STATE_BIT` of `IP_CT_ESTABLISHED` and of `IP_CT_RELATED`.
const KNOWN: u32 = 1 << 1 | 1 << 2;

/// The first of the 32-bit registers, with room for an IPv6 address until `FIFTH`. The two have older names, by which
/// the kernel lists them.
const FIRST: Register = Register::Reg1;
const SECOND: Register = Register::Reg32_01;
const THIRD: Register = Register::Reg32_02;
const FIFTH: Register = Register::Reg2;
const SIXTH: Register = Register::Reg32_05;
/// The same registers in fours, each with room for an interface's name.
const NAME: Register = Register::Reg1;
const OTHER_NAME: Register = Register::Reg2;

/// A chain's name and one of its rules.
type Rule = (&'static str, Vec<Expression>);

pub(super) fn chains() -> Vec<ChainMessage> {
    use InetHookNumber::{Forward, LocalOut, PostRouting, PreRouting};
    let named = |name: &str| {
        vec![ChainAttribute::Table(TABLE.to_owned()), ChainAttribute::Name(name.to_owned())]
    };
    let base = |name, kind: &str, hook: InetHookNumber, priority: i32| {
        let mut attributes = named(name);
        attributes.extend([
            ChainAttribute::Type(kind.to_owned()),
            ChainAttribute::Policy(ACCEPT),
            ChainAttribute::Hook(vec![
                Hook::Number(hook.into()),
                Hook::Priority(priority.cast_unsigned()),
            ]),
        ]);
        ChainMessage { attributes }
    };
    vec![
        ChainMessage { attributes: named(PUBLISHED_PORTS) },
        base(PREROUTING_RAW, "filter", PreRouting, -300),
        base(PREROUTING, "nat", PreRouting, -100),
        base(OUTPUT, "nat", LocalOut, -100),
        base(FORWARD, "filter", Forward, 0),
        base(POSTROUTING, "nat", PostRouting, 100),
    ]
}

pub(super) fn rules() -> Vec<Rule> {
    let mut rules = raw();
    // `::1` leads to a pod only where the kernel lets the answer come back (see `Bridge::ensure`). Elsewhere it
    // goes to whoever has the port on the host: a relay to the pod, or nobody, and is refused at once.
    rules.push((
        OUTPUT,
        of(
            Family::V6,
            [
                x::load(Field::DESTINATION_6, FIRST),
                x::compare(FIRST, Operator::Equal, &Ipv6Addr::LOCALHOST.octets()),
                x::lookup(FIRST, Membership::NotIn, LOOPBACKS),
                x::accept(),
            ],
        ),
    ));
    for chain in [PREROUTING, OUTPUT] {
        rules.push((
            chain,
            vec![
                x::destination_type(FIRST),
                x::compare(FIRST, Operator::Equal, &LOCAL.to_ne_bytes()),
                x::jump(PUBLISHED_PORTS),
            ],
        ));
    }
    rules.extend(published(Family::V4, Map::PublishedAt, Map::Published));
    rules.extend(published(Family::V6, Map::PublishedAt6, Map::Published6));
    rules.extend(forward().map(|expressions| (FORWARD, expressions)));
    rules.extend(postrouting().into_iter().map(|expressions| (POSTROUTING, expressions)));
    rules
}

/// What comes in by an interface.
fn raw() -> Vec<Rule> {
    let mut rules = vec![[by(MetaKey::Iif, Operator::Equal), vec![x::accept()]].concat()];
    // The bridge routes 127.0.0.0/8 (`route_localnet`) and with that takes such packets from pods, too: those to
    // the host's own loopback services (CVE-2020-8558), and those that pretend to come from there.
    for byte in [Field::SOURCE_FIRST_BYTE, Field::DESTINATION_FIRST_BYTE] {
        let is_loopback =
            [x::load(byte, FIRST), x::compare(FIRST, Operator::Equal, &[127]), x::drop_packet()];
        rules.push(of(Family::V4, is_loopback));
    }
    for address in [Field::SOURCE_6, Field::DESTINATION_6] {
        let loopback = Ipv6Addr::LOCALHOST.octets();
        let is_loopback = [
            x::load(address, FIRST),
            x::compare(FIRST, Operator::Equal, &loopback),
            x::drop_packet(),
        ];
        rules.push(of(Family::V6, is_loopback));
    }
    // Whoever knows a route could reach each port of a pod. (Answers to pods still have the host's address here.)
    for (family, field, subnets) in
        [(Family::V4, Field::DESTINATION, SUBNETS), (Family::V6, Field::DESTINATION_6, SUBNETS_6)]
    {
        let is_for_a_pod = [
            x::load(field, FIRST),
            x::lookup(FIRST, Membership::In, subnets),
            x::meta(MetaKey::Iifname, NAME),
            x::lookup(NAME, Membership::NotIn, BRIDGES),
            x::drop_packet(),
        ];
        rules.push(of(family, is_for_a_pod));
    }
    rules.into_iter().map(|expressions| (PREROUTING_RAW, expressions)).collect()
}

fn published(family: Family, at: Map, everywhere: Map) -> [Rule; 2] {
    let (address, protocol, port, to_port) = match family {
        Family::V4 => (Field::DESTINATION, SECOND, THIRD, SECOND),
        Family::V6 => (Field::DESTINATION_6, FIFTH, SIXTH, FIFTH),
    };
    let at_one = [
        x::load(address, FIRST),
        x::meta(MetaKey::L4Proto, protocol),
        x::load(Field::DESTINATION_PORT, port),
        x::translate(FIRST, at.name(), FIRST),
        x::destination_nat(family, FIRST, to_port),
    ];
    let at_all = [
        x::meta(MetaKey::L4Proto, FIRST),
        x::load(Field::DESTINATION_PORT, SECOND),
        x::translate(FIRST, everywhere.name(), FIRST),
        x::destination_nat(family, FIRST, to_port),
    ];
    [(PUBLISHED_PORTS, of(family, at_one)), (PUBLISHED_PORTS, of(family, at_all))]
}

/// What goes through the host, and, where `br_netfilter` is on, through a bridge.
fn forward() -> [Vec<Expression>; 8] {
    let between = |from: (Membership, &str), to: (Membership, &str)| {
        vec![
            x::meta(MetaKey::Iifname, NAME),
            x::lookup(NAME, from.0, from.1),
            x::meta(MetaKey::Oifname, NAME),
            x::lookup(NAME, to.0, to.1),
            x::drop_packet(),
        ]
    };
    let one = |key, set, end| vec![x::meta(key, NAME), x::lookup(NAME, Membership::In, set), end];
    [
        vec![
            x::connection_state(FIRST),
            x::mask(FIRST, KNOWN),
            x::compare(FIRST, Operator::NotEqual, &[0; 4]),
            x::accept(),
        ],
        vec![
            x::meta(MetaKey::Iifname, NAME),
            x::meta(MetaKey::Oifname, OTHER_NAME),
            x::lookup(NAME, Membership::In, SAME_BRIDGE),
            x::accept(),
        ],
        one(MetaKey::Iifname, INTERNAL, x::drop_packet()),
        one(MetaKey::Oifname, INTERNAL, x::drop_packet()),
        between((Membership::In, ISOLATED), (Membership::In, BRIDGES)),
        between((Membership::In, BRIDGES), (Membership::In, ISOLATED)),
        vec![
            x::connection_status(FIRST),
            x::mask(FIRST, DESTINATION_TRANSLATED),
            x::compare(FIRST, Operator::NotEqual, &[0; 4]),
            x::accept(),
        ],
        one(MetaKey::Oifname, BRIDGES, x::drop_packet()),
    ]
}

fn postrouting() -> Vec<Vec<Expression>> {
    let mut rules = vec![[by(MetaKey::Oif, Operator::Equal), vec![x::accept()]].concat()];
    let v4 = (Family::V4, Field::SOURCE, (Field::DESTINATION, SECOND), SUBNETS, SAME_NETWORK);
    let v6 =
        (Family::V6, Field::SOURCE_6, (Field::DESTINATION_6, FIFTH), SUBNETS_6, SAME_NETWORK_6);
    for (family, source, (destination, behind), subnets, same_network) in [v4, v6] {
        // Out into the world.
        let outwards = [
            x::load(source, FIRST),
            x::lookup(FIRST, Membership::In, subnets),
            x::meta(MetaKey::Oifname, NAME),
            x::lookup(NAME, Membership::NotIn, BRIDGES),
            x::masquerade(),
        ];
        // From the host by way of 127.0.0.1:PORT; the pod's own answers would never leave its loopback interface.
        let (from, loopback) = match family {
            Family::V4 => (Field::SOURCE_FIRST_BYTE, vec![127]),
            Family::V6 => (source, Ipv6Addr::LOCALHOST.octets().to_vec()),
        };
        let from_loopback = [
            x::load(from, FIRST),
            x::compare(FIRST, Operator::Equal, &loopback),
            x::meta(MetaKey::Oifname, NAME),
            x::lookup(NAME, Membership::In, BRIDGES),
            x::masquerade(),
        ];
        // From a pod by way of the host to a pod on the same link, perhaps itself: it would answer past the host,
        // unrecognised. (Not by interface: `br_netfilter` tells only the one that it leaves by.)
        let from_a_pod = [
            x::load(source, FIRST),
            x::load(destination, behind),
            x::lookup(FIRST, Membership::In, same_network),
            x::connection_status(FIRST),
            x::mask(FIRST, DESTINATION_TRANSLATED),
            x::compare(FIRST, Operator::NotEqual, &[0; 4]),
            x::masquerade(),
        ];
        rules.push(of(family, outwards));
        rules.push(of(family, from_loopback));
        rules.push(of(family, from_a_pod));
    }
    rules
}

/// Goes on only with packets of one version of IP.
fn of<const N: usize>(family: Family, then: [Expression; N]) -> Vec<Expression> {
    x::is_of(family).into_iter().chain(then).collect()
}

/// Goes on only when the interface compares so with `lo`.
fn by(interface: MetaKey, operator: Operator) -> Vec<Expression> {
    vec![x::meta(interface, FIRST), x::compare(FIRST, operator, &LOOPBACK.to_ne_bytes())]
}
