//! Digests, as a type of their own: nothing else of a registry's becomes part of an address or is compared.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, Result, shown};

/// A SHA-256 digest, written `sha256:` and 64 lower-case hexadecimal digits
/// ([OCI descriptor](https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests)).
///
/// Other algorithms are refused: the registries of today all use this one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The end of a running hash.
    pub(crate) fn finish(hash: Sha256) -> Self {
        Self(hash.finalize().into())
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.strip_prefix("sha256:").and_then(from_hex).map(Self).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidReference,
                format!(
                    "\"{}\" is not a digest: sha256: and 64 lower-case hexadecimal digits",
                    shown(text)
                ),
            )
        })
    }
}

fn from_hex(hex: &str) -> Option<[u8; 32]> {
    let nibble = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = hex.as_bytes().as_chunks::<2>() else { return None };
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(bytes)
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_survives_being_written_and_read() {
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), text);
        assert_eq!(text.parse::<Digest>().unwrap(), Digest::of(b""));
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let upper = format!("sha256:{}", "E".repeat(64));
        let long = format!("sha256:{}", "e".repeat(65));
        let path = format!("sha256:../{}", "e".repeat(61));
        let other = format!("sha512:{}", "e".repeat(128));
        for text in ["", "sha256:", "sha256:../../etc/passwd", &upper, &long, &path, &other] {
            let error = text.parse::<Digest>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidReference, "{text}");
        }
    }
}
