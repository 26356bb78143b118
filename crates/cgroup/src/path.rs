//! Where a cgroup is, relative to the hierarchy's mount point.

use std::fmt;
use std::str::FromStr;

use crate::Result;
use crate::error::Cause;

const LONGEST_COMPONENT: usize = 255;

/// What leaves room for a mount point and a file's name in the 4,096 bytes that a path may have (`PATH_MAX`).
const LONGEST: usize = 3072;
const TOO_LONG: &str = "it is longer than 3072 bytes";

/// A cgroup's path below the mount point of each hierarchy, as in `sandbar/<pod>/<container>`.
///
/// Each component has 1 to 255 of the characters `A-Z a-z 0-9 _ . : -` (any but control characters
/// when others named it, see [`Hierarchy::place`](crate::Hierarchy::place)) and is not `.` or `..`,
/// and all together have at most 3,072 bytes,
/// so a path can't lead out of the hierarchy whatever it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CgroupPath(String);

impl CgroupPath {
    /// Checks `path`.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath).
    pub fn new(path: impl Into<String>) -> Result<Self> {
        let path = path.into();
        let too_long = (path.len() > LONGEST).then_some(TOO_LONG);
        match too_long.or_else(|| path.split('/').find_map(fault)) {
            Some(why) => Err(Cause::InvalidPath { path, why }.into()),
            None => Ok(Self(path)),
        }
    }

    /// The path that others gave, who may have used any visible character: repeated and enclosing
    /// `/` and components `.` count for nothing, and `..` is refused.
    pub(crate) fn cleaned(path: &str) -> Result<Self> {
        let invalid = |why| Err(Cause::InvalidPath { path: path.to_owned(), why }.into());
        let parts: Vec<&str> = path.split('/').filter(|c| !matches!(*c, "" | ".")).collect();
        if parts.is_empty() {
            return invalid("it names no cgroup");
        }
        for part in &parts {
            match *part {
                ".." => return invalid("a component is .."),
                c if c.len() > LONGEST_COMPONENT => {
                    return invalid("a component is longer than 255 bytes");
                }
                c if c.chars().any(char::is_control) => {
                    return invalid("a component has a control character");
                }
                _ => {}
            }
        }
        let path = parts.join("/");
        if path.len() > LONGEST {
            return invalid(TOO_LONG);
        }
        Ok(Self(path))
    }

    /// The path of `child`, one component or more, below this one.
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath).
    pub fn join(&self, child: &str) -> Result<Self> {
        Self::new(format!("{}/{child}", self.0))
    }

    /// The path without its last component; `None` for one that has only one.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The path as text, without a `/` at its beginning or end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path itself and what it is below, the longest first.
    pub(crate) fn upwards(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }
}

fn fault(component: &str) -> Option<&'static str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.:-".contains(&b);
    match component {
        "" => Some("a component is empty"),
        "." | ".." => Some("a component is . or .."),
        c if c.len() > LONGEST_COMPONENT => Some("a component is longer than 255 bytes"),
        c if !c.bytes().all(allowed) => {
            Some("a component has a character other than A-Z a-z 0-9 _ . : -")
        }
        _ => None,
    }
}

impl FromStr for CgroupPath {
    type Err = crate::Error;

    fn from_str(path: &str) -> Result<Self> {
        Self::new(path)
    }
}

impl fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn traversal_in_cgroup_paths_is_refused() {
        let long = "a".repeat(256);
        for path in [
            "",
            "/",
            "/a",
            "a/",
            "a//b",
            ".",
            "..",
            "a/../b",
            "a/./b",
            "a\0b",
            "a\nb",
            "a b",
            "a\\b",
            "ä",
            &long,
            &format!("a/{long}"),
            "a/".repeat(LONGEST / 2 + 1).trim_end_matches('/'),
            "a/%2e%2e",
            "a*",
        ] {
            let error = CgroupPath::new(path).expect_err(path);
            assert_eq!(error.kind(), ErrorKind::InvalidPath, "{path:?}");
        }
    }

    #[test]
    fn ordinary_paths_are_taken() {
        let long = "a".repeat(255);
        for path in ["a", "sandbar/p-1/c_2", "a.b:c", "...", "-", &long] {
            assert_eq!(CgroupPath::new(path).expect(path).as_str(), path);
        }
    }

    #[test]
    fn parents_and_children() {
        let path = CgroupPath::new("a/b/c").unwrap();
        let up: Vec<_> = path.upwards().map(|p| p.to_string()).collect();
        assert_eq!(up, ["a/b/c", "a/b", "a"]);
        assert_eq!(path.parent().unwrap().join("d/e").unwrap().as_str(), "a/b/d/e");
        assert!(path.join("../x").is_err());
    }
}
