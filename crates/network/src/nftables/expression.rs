//! The expressions that rules are made of, one short constructor each.
//!
//! `netlink-packet-netfilter` has types for most; `ct`, `fib`, `masq` and `nat` are written out here.

use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    Bitwise, Cmp, DataAttribute, ExpressionAttribute, Expressions, Immediate, ListAttribute,
    Lookup, Meta, MetaKey, Operator, Payload, Register, Verdict, VerdictAttribute,
};

use crate::netlink::attribute;

/// One step of a rule: it loads or compares registers, or ends the rule.
pub(super) type Expression = ListAttribute<ExpressionAttribute>;

/// Where a field of a packet is (`enum nft_payload_bases`), its offset and its length in bytes.
#[derive(Clone, Copy)]
pub(super) struct Field(u32, u32, u32);

impl Field {
    const NETWORK: u32 = 1;
    const TRANSPORT: u32 = 2;
    pub(super) const SOURCE: Self = Self(Self::NETWORK, 12, 4);
    pub(super) const SOURCE_FIRST_BYTE: Self = Self(Self::NETWORK, 12, 1);
    pub(super) const DESTINATION: Self = Self(Self::NETWORK, 16, 4);
    pub(super) const DESTINATION_FIRST_BYTE: Self = Self(Self::NETWORK, 16, 1);
    pub(super) const SOURCE_6: Self = Self(Self::NETWORK, 8, 16);
    pub(super) const DESTINATION_6: Self = Self(Self::NETWORK, 24, 16);
    pub(super) const DESTINATION_PORT: Self = Self(Self::TRANSPORT, 2, 2);
}

/// A version of the Internet protocol, as netfilter numbers them (`NFPROTO_…`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }
}

/// Whether a set must, or must not, have the looked-up key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    In,
    NotIn,
}

/// Loads a field of the packet.
pub(super) fn load(field: Field, to: Register) -> Expression {
    let Field(base, offset, length) = field;
    Expressions::Payload(vec![
        Payload::DestinationRegister(to),
        Payload::Base(base),
        Payload::Offset(offset),
        Payload::Len(length),
    ])
    .into()
}

/// Loads what is known of a packet beside its bytes.
pub(super) fn meta(key: MetaKey, to: Register) -> Expression {
    Expressions::Meta(vec![Meta::DestinationRegister(to), Meta::Key(key)]).into()
}

/// Goes on only with packets of this version: the fields of the others are elsewhere.
pub(super) fn is_of(family: Family) -> [Expression; 2] {
    let register = Register::Reg1;
    [meta(MetaKey::Nfproto, register), compare(register, Operator::Equal, &[family.number()])]
}

/// Goes on only when the register's beginning compares so with `value`.
pub(super) fn compare(register: Register, operator: Operator, value: &[u8]) -> Expression {
    Expressions::Cmp(vec![
        Cmp::SourceRegister(register),
        Cmp::Op(operator),
        Cmp::Data(DataAttribute::Value(value.to_vec())),
    ])
    .into()
}

/// Goes on only when the key in `register` is, or is not, in the set.
pub(super) fn lookup(register: Register, membership: Membership, set: &str) -> Expression {
    let mut attributes = vec![Lookup::Set(set.to_owned()), Lookup::SourceRegister(register)];
    if membership == Membership::NotIn {
        attributes.push(Lookup::Flags(1)); // NFT_LOOKUP_F_INV
    }
    Expressions::Lookup(attributes).into()
}

/// Goes on only when the map has the key that begins in `from`; its value is then in `to` and the registers after.
pub(super) fn translate(from: Register, map: &str, to: Register) -> Expression {
    Expressions::Lookup(vec![
        Lookup::Set(map.to_owned()),
        Lookup::SourceRegister(from),
        Lookup::DestinationRegister(to),
    ])
    .into()
}

/// Clears the register's bits that are not in `mask`.
pub(super) fn mask(register: Register, mask: u32) -> Expression {
    Expressions::Bitwise(vec![
        Bitwise::SourceRegister(register),
        Bitwise::DestinationRegister(register),
        Bitwise::Length(4),
        Bitwise::Mask(DataAttribute::Value(mask.to_ne_bytes().to_vec())),
        Bitwise::Xor(DataAttribute::Value(vec![0; 4])),
    ])
    .into()
}

/// Loads the type (`RTN_…`) of the packet's destination in the routing tables.
pub(super) fn destination_type(to: Register) -> Expression {
    other(
        "fib",
        vec![
            attribute(1, to.into()), // NFTA_FIB_DREG
            attribute(2, 3),         // NFTA_FIB_RESULT: NFT_FIB_RESULT_ADDRTYPE
            attribute(3, 1 << 1),    // NFTA_FIB_FLAGS: NFTA_FIB_F_DADDR
        ],
    )
}

/// Loads the packet's connection tracking status (`IPS_…`).
pub(super) fn connection_status(to: Register) -> Expression {
    other(
        "ct",
        vec![
            attribute(1, to.into()), // NFTA_CT_DREG
            attribute(2, 2),         // NFTA_CT_KEY: NFT_CT_STATUS
        ],
    )
}

/// Loads what the packet is to its connection (`NF_CT_STATE_BIT`).
pub(super) fn connection_state(to: Register) -> Expression {
    other(
        "ct",
        vec![
            attribute(1, to.into()), // NFTA_CT_DREG
            attribute(2, 0),         // NFTA_CT_KEY: NFT_CT_STATE
        ],
    )
}

/// Sends the connection to the address and the port in these registers. (With all that follows from them, which the
/// kernel lists in any case.)
pub(super) fn destination_nat(family: Family, address: Register, port: Register) -> Expression {
    other(
        "nat",
        vec![
            attribute(1, 1),                      // NFTA_NAT_TYPE: NFT_NAT_DNAT
            attribute(2, family.number().into()), // NFTA_NAT_FAMILY
            attribute(3, address.into()),         // NFTA_NAT_REG_ADDR_MIN
            attribute(4, address.into()),         // NFTA_NAT_REG_ADDR_MAX
            attribute(5, port.into()),            // NFTA_NAT_REG_PROTO_MIN
            attribute(6, port.into()),            // NFTA_NAT_REG_PROTO_MAX
            // NFTA_NAT_FLAGS: NF_NAT_RANGE_MAP_IPS and NF_NAT_RANGE_PROTO_SPECIFIED
            attribute(7, 3),
        ],
    )
}

/// Gives the connection the address of the interface that it leaves by.
pub(super) fn masquerade() -> Expression {
    other("masq", Vec::new())
}

/// Goes through the rules of another chain, then on with those after this one.
pub(super) fn jump(chain: &str) -> Expression {
    verdict(vec![VerdictAttribute::Code(Verdict::Jump), VerdictAttribute::Chain(chain.to_owned())])
}

/// Ends this table's say on the packet at this hook.
pub(super) fn accept() -> Expression {
    verdict(vec![VerdictAttribute::Code(Verdict::Other(1))]) // NF_ACCEPT
}

/// Goes on behind the rule that led to this chain.
pub(super) fn return_to_caller() -> Expression {
    verdict(vec![VerdictAttribute::Code(Verdict::Return)])
}

/// Counts packets and bytes.
pub(super) fn counter() -> Expression {
    other("counter", Vec::new())
}

/// Drops the packet.
pub(super) fn drop_packet() -> Expression {
    verdict(vec![VerdictAttribute::Code(Verdict::Other(0))]) // NF_DROP
}

fn verdict(attributes: Vec<VerdictAttribute>) -> Expression {
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Verdict),
        Immediate::Data(DataAttribute::Verdict(attributes)),
    ])
    .into()
}

fn other(name: &str, attributes: Vec<DefaultNla>) -> Expression {
    Expressions::Other { expression_type: name.to_owned(), attributes }.into()
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::{Nla as _, NlaBuffer, Parseable as _};

    use super::*;

    fn bytes(expression: &Expression) -> Vec<u8> {
        let mut bytes = vec![0; expression.value_len()];
        expression.emit_value(&mut bytes);
        bytes
    }

    #[test]
    fn nat_is_written_as_the_kernel_reads_it() {
        let expected = [
            &[8, 0, 1, 0][..],
            b"nat\0",
            &[60, 0, 2, 0x80],
            &[8, 0, 1, 0, 0, 0, 0, 1],
            &[8, 0, 2, 0, 0, 0, 0, 2],
            &[8, 0, 3, 0, 0, 0, 0, 8],
            &[8, 0, 4, 0, 0, 0, 0, 8],
            &[8, 0, 5, 0, 0, 0, 0, 9],
            &[8, 0, 6, 0, 0, 0, 0, 9],
            &[8, 0, 7, 0, 0, 0, 0, 3],
        ]
        .concat();
        assert_eq!(
            bytes(&destination_nat(Family::V4, Register::Reg32_00, Register::Reg32_01)),
            expected
        );
    }

    #[test]
    fn an_expression_without_attributes_has_an_empty_list() {
        let expected = [&[9, 0, 1, 0][..], b"masq\0\0\0\0", &[4, 0, 2, 0x80]].concat();
        assert_eq!(bytes(&masquerade()), expected);
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let register = Register::Reg32_00;
        for expression in [
            load(Field::DESTINATION_PORT, register),
            meta(MetaKey::L4Proto, register),
            compare(register, Operator::Equal, &[127]),
            lookup(register, Membership::NotIn, "set"),
            translate(register, "map", register),
            mask(register, 0x20),
            destination_type(register),
            connection_status(register),
            connection_state(register),
            destination_nat(Family::V6, register, register),
            jump("chain"),
            drop_packet(),
        ] {
            let mut buffer = vec![0; netlink_packet_core::Emitable::buffer_len(&expression)];
            netlink_packet_core::Emitable::emit(&expression, &mut buffer);
            let read = Expression::parse(&NlaBuffer::new(&buffer[..])).unwrap();
            assert_eq!(read, expression);
        }
    }
}
