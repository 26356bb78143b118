//! Single attributes out of the kernel's answers.
//!
//! Requests are built from the types of `netlink-packet-*`. Answers are not parsed into them: a whole parse fails
//! on the first attribute that a newer kernel has changed, and what is wanted is one or two of dozens.

use netlink_packet_core::{DefaultNla, NLA_HEADER_SIZE, NlasIterator};

/// The value of the first attribute of this kind.
pub(crate) fn find(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    all_of(attributes, kind).next()
}

/// The values of all attributes of this kind, up to the first that is mangled.
pub(crate) fn all_of(attributes: &[u8], kind: u16) -> impl Iterator<Item = &[u8]> {
    NlasIterator::new(attributes)
        .map_while(Result::ok)
        .filter(move |attribute| attribute.kind() == kind)
        .map(|attribute| {
            let end = NLA_HEADER_SIZE + attribute.value_length();
            attribute.into_inner().get(NLA_HEADER_SIZE..end).unwrap_or_default()
        })
}

/// The `N` bytes at `offset`, if there are as many.
pub(crate) fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// An attribute's value as a number of this machine's byte order.
pub(crate) fn u32_of(attributes: &[u8], kind: u16) -> Option<u32> {
    bytes_at(find(attributes, kind)?, 0).map(u32::from_ne_bytes)
}

/// An attribute that `netlink-packet-*` has no type for, its value a number in network byte order.
pub(crate) fn attribute(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_be_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_an_attribute_behind_a_padded_one() {
        let bytes = [5, 0, 1, 0, b'x', 0, 0, 0, 8, 0, 2, 0, 7, 0, 0, 0];
        assert_eq!(find(&bytes, 1), Some(&b"x"[..]));
        assert_eq!(find(&bytes, 2), Some(&[7, 0, 0, 0][..]));
        assert_eq!(u32_of(&bytes, 2), Some(u32::from_ne_bytes([7, 0, 0, 0])));
        assert_eq!(u32_of(&bytes, 1), None);
        assert_eq!(find(&bytes, 3), None);
        assert_eq!(find(&bytes[..6], 2), None);
    }
}
