//! Elements as the kernel lists them, in lists of thousands.
//!
//! They are read by their attributes alone: the parsers of `netlink-packet-*` put all that follows an attribute into
//! words for an error that never comes, which makes a list of n elements n² work.

use super::transaction::HEADER;
use crate::netlink::{all_of, find};

/// `NFTA_SET_ELEM_LIST_ELEMENTS`, and `NFTA_LIST_ELEM` within it.
const ELEMENTS: u16 = 3;
const ELEMENT: u16 = 1;
/// `NFTA_SET_ELEM_KEY`, `NFTA_SET_ELEM_DATA`, `NFTA_SET_ELEM_KEY_END`, and `NFTA_DATA_VALUE` within each.
const KEY: u16 = 1;
const DATA: u16 = 2;
const KEY_END: u16 = 10;
const VALUE: u16 = 1;

/// What an element of a set or map has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListedElement<'a> {
    pub(super) key: &'a [u8],
    /// The end of the range that begins with the key.
    pub(super) key_end: Option<&'a [u8]>,
    /// What a map leads to.
    pub(super) data: Option<&'a [u8]>,
}

/// The elements in an answer. What is mangled has none.
pub(super) fn elements(message: &[u8]) -> impl Iterator<Item = ListedElement<'_>> {
    let attributes = message.get(HEADER..).unwrap_or_default();
    all_of(attributes, ELEMENTS).flat_map(|list| all_of(list, ELEMENT)).filter_map(|element| {
        let value = |attribute| find(find(element, attribute)?, VALUE);
        Some(ListedElement { key: value(KEY)?, key_end: value(KEY_END), data: value(DATA) })
    })
}
