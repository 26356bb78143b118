//! Names of network interfaces.

use std::{fmt, str::FromStr};

use crate::{Error, ErrorKind, Result};

/// The kernel's `IFNAMSIZ` less the final NUL.
const LONGEST: usize = 15;

/// A network interface's name: 1 to 15 of `a-z A-Z 0-9 _ . -`, beginning with a letter.
///
/// The kernel allows more (anything but `/`, `:` and white space); what this leaves out has no business here, and
/// could leave a path under `/proc/sys/net`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InterfaceName(String);

impl InterfaceName {
    pub(crate) fn from_static(name: &'static str) -> Self {
        debug_assert!(name.parse::<Self>().is_ok(), "{name}");
        Self(name.to_owned())
    }

    /// The host's end of a pod's veth pair: `sb` and the beginning of the pod's id.
    ///
    /// # Errors
    /// `InvalidInput` when `id` is not 1 to 64 of `a-z 0-9`.
    pub fn for_pod(id: &str) -> Result<Self> {
        check_id(id)?;
        Ok(Self(format!("sb{}", id.get(..LONGEST - 2).unwrap_or(id))))
    }

    /// The same for a pod's `n`th further bridge, from 1 to 99: such as `sb4f2a9c0123.1`.
    ///
    /// # Errors
    /// `InvalidInput` when `id` is not 1 to 64 of `a-z 0-9`, and for an `n` outside 1 to 99.
    pub fn for_pod_further(id: &str, n: u8) -> Result<Self> {
        check_id(id)?;
        if !(1..=99).contains(&n) {
            let text = format!("a pod's further network {n}: it can be on 1 to 99");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        Ok(Self(format!("sb{}.{n}", id.get(..LONGEST - 5).unwrap_or(id))))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for InterfaceName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
        let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        if starts_well && is_plain && name.len() <= LONGEST {
            return Ok(Self(name.to_owned()));
        }
        Err(Error::new(
            ErrorKind::InvalidInput,
            format!("interface {name:?}: a name is a letter and up to 14 of a-z A-Z 0-9 _ . -"),
        ))
    }
}

/// Refuses an id that is not 1 to 64 of `a-z 0-9`: ids become names of files and of interfaces.
pub(crate) fn check_id(id: &str) -> Result<()> {
    let is_plain = id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if is_plain && (1..=64).contains(&id.len()) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidInput, format!("id {id:?}: an id is 1 to 64 of a-z 0-9")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pods_interface_fits_the_kernel() {
        assert_eq!(InterfaceName::for_pod("4f").unwrap().as_str(), "sb4f");
        let long = InterfaceName::for_pod(&"0123456789abcdef".repeat(4)).unwrap();
        assert_eq!(long.as_str(), "sb0123456789abc");
        let further = InterfaceName::for_pod_further(&"0123456789abcdef".repeat(4), 99).unwrap();
        assert_eq!(further.as_str(), "sb0123456789.99");
        assert!(further.as_str().parse::<InterfaceName>().is_ok());
        assert!(InterfaceName::for_pod_further("4f", 0).is_err());
    }

    #[test]
    fn bad_names_and_ids_are_refused() {
        for name in ["", "a/b", "..", "-x", "a b", "é", "0123", "abcdefghijklmnop", "a\0", "a:1"] {
            assert!(name.parse::<InterfaceName>().is_err(), "{name:?}");
        }
        for id in ["", "..", "A", "a-b", "a/b", "é", "a\n", &"a".repeat(65)] {
            assert!(InterfaceName::for_pod(id).is_err(), "{id:?}");
        }
    }
}
