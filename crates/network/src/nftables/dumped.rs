//! Rules as the kernel lists them, held against those that it was given.

use netlink_packet_core::{Emitable, NLA_HEADER_SIZE, Nla, NlaBuffer, NlasIterator};

use super::{expression::Expression, transaction::HEADER};
use crate::netlink::{bytes_at, find};

/// `NFTA_RULE_CHAIN`, `NFTA_RULE_HANDLE`, `NFTA_RULE_EXPRESSIONS`.
const CHAIN: u16 = 2;
const HANDLE: u16 = 3;
const EXPRESSIONS: u16 = 4;
/// `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`.
const NAME: u16 = 1;
const DATA: u16 = 2;
/// `NLA_F_NESTED`.
const NESTED: u16 = 1 << 15;
/// How deep attributes are nested within an expression's (a verdict in a value).
const DEPTH: u32 = 4;

/// A rule out of a listing.
pub(super) struct Dumped<'a>(&'a [u8]);

impl<'a> Dumped<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self(message.get(HEADER..).unwrap_or_default())
    }

    /// The name of its chain.
    pub(super) fn chain(&self) -> &'a [u8] {
        text(find(self.0, CHAIN))
    }

    /// The number by which it can be removed.
    pub(super) fn handle(&self) -> Option<u64> {
        bytes_at(find(self.0, HANDLE)?, 0).map(u64::from_be_bytes)
    }

    /// Whether it is made of these expressions: the counts of a counter may be any. (The kernel lists registers by
    /// their old numbers where these have one.)
    pub(super) fn is_of(&self, expressions: &[Expression]) -> bool {
        let mut given = vec![0; expressions.buffer_len()];
        expressions.emit(&mut given);
        let listed = find(self.0, EXPRESSIONS).unwrap_or_default();
        let (Some(given), Some(listed)) = (all(&given), all(listed)) else { return false };
        given.len() == listed.len()
            && given.iter().zip(&listed).all(|(given, listed)| {
                let [name, listed_name] = [given, listed].map(|it| text(find(value(it), NAME)));
                let [data, listed_data] =
                    [given, listed].map(|it| find(value(it), DATA).unwrap_or_default());
                name == listed_name && (name == b"counter" || says(data, listed_data, DEPTH))
            })
    }
}

/// Whether attributes that are listed have this one, with its value.
pub(super) fn has<N: Nla>(listed: &[u8], given: &N) -> bool {
    let mut bytes = vec![0; Emitable::buffer_len(given)];
    Emitable::emit(given, &mut bytes);
    let given = all(&bytes).unwrap_or_default();
    !given.is_empty()
        && given.iter().all(|given| match find(listed, given.kind()) {
            Some(listed) if is_nested(given) => says(value(given), listed, DEPTH),
            Some(listed) => value(given) == listed,
            None => false,
        })
}

/// A text without its NUL.
pub(super) fn text(attribute: Option<&[u8]>) -> &[u8] {
    let text = attribute.unwrap_or_default();
    text.strip_suffix(b"\0").unwrap_or(text)
}

/// Whether what is listed says what was given, and beside it nothing but zeros: the defaults, which the kernel adds.
fn says(given: &[u8], listed: &[u8], depth: u32) -> bool {
    let (Some(given), Some(listed_all)) = (all(given), all(listed)) else { return false };
    given.iter().all(|one| find(listed, one.kind()).is_some())
        && listed_all.iter().all(|listed| {
            match given.iter().find(|given| given.kind() == listed.kind()) {
                Some(given) if is_nested(given) && depth > 0 => {
                    says(value(given), value(listed), depth - 1)
                }
                Some(given) => value(given) == value(listed),
                None => value(listed).iter().all(|byte| *byte == 0),
            }
        })
}

fn all(attributes: &[u8]) -> Option<Vec<NlaBuffer<&[u8]>>> {
    NlasIterator::new(attributes).collect::<Result<_, _>>().ok()
}

fn value<'a>(attribute: &NlaBuffer<&'a [u8]>) -> &'a [u8] {
    let end = NLA_HEADER_SIZE + attribute.value_length();
    (*attribute).into_inner().get(NLA_HEADER_SIZE..end).unwrap_or_default()
}

fn is_nested(attribute: &NlaBuffer<&[u8]>) -> bool {
    let kind = bytes_at(attribute.into_inner(), 2).map(u16::from_ne_bytes);
    kind.is_some_and(|kind| kind & NESTED != 0)
}

#[cfg(test)]
mod tests {
    use netlink_packet_netfilter::nftables::{
        NfTablesMessage, Operator, Register, RuleAttribute, RuleMessage,
    };

    use super::*;
    use crate::nftables::expression as x;

    fn listed(expressions: Vec<Expression>) -> Vec<u8> {
        let rule = NfTablesMessage::NewRule(RuleMessage {
            attributes: vec![
                RuleAttribute::Chain("chain".to_owned()),
                RuleAttribute::Handle(7),
                RuleAttribute::Expressions(expressions),
            ],
        });
        let mut bytes = vec![0; HEADER + rule.buffer_len()];
        rule.emit(&mut bytes[HEADER..]);
        bytes
    }

    #[test]
    fn a_rule_is_known_by_what_it_does() {
        let rule = || vec![x::compare(Register::Reg1, Operator::Equal, b"lo\0"), x::accept()];
        let bytes = listed(rule());
        let dumped = Dumped::new(&bytes);
        assert_eq!((dumped.chain(), dumped.handle()), (&b"chain"[..], Some(7)));
        assert!(dumped.is_of(&rule()));
        for other in [
            vec![x::compare(Register::Reg1, Operator::Equal, b"lo\0")],
            vec![x::compare(Register::Reg1, Operator::Equal, b"lo\0"), x::drop_packet()],
            vec![x::compare(Register::Reg1, Operator::NotEqual, b"lo\0"), x::accept()],
            vec![x::compare(Register::Reg1, Operator::Equal, b"lx\0"), x::accept()],
            [rule(), vec![x::counter()]].concat(),
            vec![],
        ] {
            assert!(!dumped.is_of(&other), "{other:?}");
        }
    }

    #[test]
    fn a_default_that_the_kernel_adds_makes_no_difference() {
        let given = [&[8, 0, 1, 0][..], &[1, 2, 3, 4]].concat();
        let with = |value: u8| [&given[..], &[8, 0, 5, 0, 0, 0, 0, value]].concat();
        assert!(says(&given, &with(0), DEPTH) && !says(&given, &with(1), DEPTH));
        assert!(!says(&with(0), &given, DEPTH), "what was given is missing");
        assert!(!says(&given, &[8, 0, 1, 0, 1, 2], DEPTH), "mangled");
    }
}
