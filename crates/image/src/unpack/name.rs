//! Names of entries: cut into the directory and the last component, or refused.

use crate::error::{Error, Result, shown};

/// The longest path, in bytes, and the longest component (`PATH_MAX` and `NAME_MAX`).
const LONGEST_PATH: usize = 4095;
const LONGEST_COMPONENT: usize = 255;

/// A path relative to the layer's root: no `..`, no `.`, no empty component, no leading slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(Vec<u8>);

impl Name {
    /// Reads an archive's path; the empty name is the root itself.
    pub(crate) fn parse(raw: &[u8]) -> Result<Self> {
        let refuse = |why: &str| Err(Error::malformed(format!("the path {} {why}", shown(raw))));
        let mut name = Vec::with_capacity(raw.len());
        for component in raw.split(|c| *c == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return refuse("has a '..'"),
                long if long.len() > LONGEST_COMPONENT => {
                    return refuse("has too long a component");
                }
                nul if nul.contains(&0) => return refuse("has a NUL"),
                component => {
                    if !name.is_empty() {
                        name.push(b'/');
                    }
                    name.extend_from_slice(component);
                }
            }
        }
        if name.len() > LONGEST_PATH {
            return refuse("is too long");
        }
        Ok(Self(name))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The directory (empty for the root) and the last component; `None` for the root itself.
    pub(crate) fn split(&self) -> Option<(&[u8], &[u8])> {
        split(&self.0)
    }
}

/// As [`Name::split`], of a path that was a name's.
pub(crate) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    match path.iter().rposition(|c| *c == b'/') {
        Some(slash) => Some((&path[..slash], &path[slash + 1..])),
        None => Some((&[], path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_the_root() {
        for (raw, name) in [("./", ""), ("/", ""), ("./a//b/./c/", "a/b/c"), ("/etc/x", "etc/x")] {
            assert_eq!(Name::parse(raw.as_bytes()).unwrap().as_bytes(), name.as_bytes());
        }
        assert_eq!(Name::parse(b"a/b").unwrap().split(), Some((&b"a"[..], &b"b"[..])));
        assert_eq!(Name::parse(b"b").unwrap().split(), Some((&b""[..], &b"b"[..])));
    }

    #[test]
    fn names_that_climb_or_overflow_are_refused() {
        let long = "a".repeat(256);
        let deep = "a/".repeat(2049);
        for raw in ["..", "a/../b", "../../etc/passwd", "a\0b", &long, &deep] {
            assert!(Name::parse(raw.as_bytes()).is_err(), "{raw:?}");
        }
    }
}
