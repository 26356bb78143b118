//! One rule on devices.

use std::fmt;
use std::str::FromStr;

use crate::error::Cause;
use crate::{Error, Result};

/// The kernel has 12 bits for a major number and 20 for a minor one.
const MOST_MAJOR: u32 = (1 << 12) - 1;
const MOST_MINOR: u32 = (1 << 20) - 1;

/// Allows or denies the use of some devices: `allow c 1:3 rw`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// Whether it allows.
    pub allow: bool,
    /// Which devices it is about, by type.
    pub kind: DeviceKind,
    /// The major number; `None` is any.
    pub major: Option<u32>,
    /// The minor number; `None` is any.
    pub minor: Option<u32>,
    /// The uses that it is about.
    pub access: DeviceAccess,
}

/// The type of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeviceKind {
    /// Both.
    All,
    /// A block device.
    Block,
    /// A character device.
    Char,
}

/// A set of uses of a device: `rwm` are reading, writing and making with `mknod`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceAccess(u8);

impl DeviceAccess {
    // As the kernel's `BPF_DEVCG_ACC_*`.
    const MAKE: u8 = 1;
    const READ: u8 = 2;
    const WRITE: u8 = 4;
    const LETTERS: [(char, u8); 3] = [('r', Self::READ), ('w', Self::WRITE), ('m', Self::MAKE)];

    /// All uses: `rwm`.
    pub const ALL: Self = Self(Self::MAKE | Self::READ | Self::WRITE);

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl FromStr for DeviceAccess {
    type Err = Error;

    fn from_str(letters: &str) -> Result<Self> {
        let mut access = Self::default();
        for letter in letters.chars() {
            match Self::LETTERS.iter().find(|(known, _)| *known == letter) {
                Some((_, bit)) => access.0 |= bit,
                None => return Err(invalid("device access", letters, "it is of r, w and m")),
            }
        }
        match access.is_empty() {
            true => Err(invalid("device access", letters, "it is empty")),
            false => Ok(access),
        }
    }
}

impl fmt::Display for DeviceAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = Self::LETTERS.iter().filter(|(_, bit)| self.0 & bit != 0);
        has.map(|(letter, _)| letter).try_for_each(|letter| write!(f, "{letter}"))
    }
}

impl DeviceRule {
    pub(super) fn check(&self) -> Result<()> {
        let fault = match (self.major, self.minor) {
            (Some(major), _) if major > MOST_MAJOR => "the highest major number is 4,095",
            (_, Some(minor)) if minor > MOST_MINOR => "the highest minor number is 1,048,575",
            _ if self.access.is_empty() => "it is about no use of a device",
            _ => return Ok(()),
        };
        Err(invalid("device rule", &self.to_string(), fault))
    }

    /// Whether it is about every use of every device.
    pub(super) fn is_all(&self) -> bool {
        let any = self.major.is_none() && self.minor.is_none();
        any && self.kind == DeviceKind::All && self.access == DeviceAccess::ALL
    }

    /// What it is about, by each type: the kernel takes "all types" for everything.
    pub(super) fn numbered(&self) -> impl Iterator<Item = Numbered> {
        let (major, minor) = (self.major, self.minor);
        [DeviceKind::Block, DeviceKind::Char]
            .into_iter()
            .filter(|kind| [*kind, DeviceKind::All].contains(&self.kind))
            .map(move |kind| Numbered { kind, major, minor })
    }
}

impl FromStr for DeviceRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fault = || invalid("device rule", text, "it is like \"allow c 1:3 rw\"");
        let (allow, rest) = match text.split_once(' ') {
            Some(("allow", rest)) => (true, rest),
            Some(("deny", rest)) => (false, rest),
            _ => return Err(fault()),
        };
        let (kind, numbers, access) = parts(rest).ok_or_else(fault)?;
        let (major, minor) = numbers;
        Ok(Self { allow, kind, major, minor, access: access.parse()? })
    }
}

type Numbers = (Option<u32>, Option<u32>);

/// The parts of a line as the kernel writes it: `c 1:3 rw`.
fn parts(line: &str) -> Option<(DeviceKind, Numbers, &str)> {
    let number = |text: &str| match text {
        "*" => Some(None),
        digits => digits.parse().ok().map(Some),
    };
    let mut words = line.split(' ');
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
    let kind = match kind {
        "a" => DeviceKind::All,
        "b" => DeviceKind::Block,
        "c" => DeviceKind::Char,
        _ => return None,
    };
    let (major, minor) = numbers.split_once(':')?;
    words.next().is_none().then_some((kind, (number(major)?, number(minor)?), access))
}

impl fmt::Display for DeviceRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = Numbered { kind: self.kind, major: self.major, minor: self.minor };
        let verb = if self.allow { "allow" } else { "deny" };
        write!(f, "{verb} {about} {}", self.access)
    }
}

/// Devices by type and numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Numbered {
    pub(super) kind: DeviceKind,
    pub(super) major: Option<u32>,
    pub(super) minor: Option<u32>,
}

impl Numbered {
    /// Whether all of `other` are among these.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let covers = |one: Option<u32>, two| one.is_none() || one == two;
        self.kind == other.kind
            && covers(self.major, other.major)
            && covers(self.minor, other.minor)
    }

    /// Whether some of `other` are among these.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let meets =
            |one: Option<u32>, two: Option<u32>| one.zip(two).is_none_or(|(one, two)| one == two);
        self.kind == other.kind && meets(self.major, other.major) && meets(self.minor, other.minor)
    }
}

impl fmt::Display for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DeviceKind::All => 'a',
            DeviceKind::Block => 'b',
            DeviceKind::Char => 'c',
        };
        let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
        write!(f, "{kind} {}:{}", number(self.major), number(self.minor))
    }
}

fn invalid(limit: &'static str, value: &str, why: &'static str) -> Error {
    Cause::InvalidLimit { limit: limit.into(), value: value.to_owned(), why }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_written_as_they_are_read() {
        for text in ["allow c 1:3 rw", "deny b *:* m", "allow a *:* rwm", "deny c 136:* r"] {
            assert_eq!(text.parse::<DeviceRule>().unwrap().to_string(), text);
        }
        for bad in
            ["", "allow", "allow d 1:3 r", "allow c 1 r", "allow c 1:3", "allow c 1:3 x", "c 1:3 r"]
        {
            assert!(bad.parse::<DeviceRule>().is_err(), "{bad:?}");
        }
        assert!("".parse::<DeviceAccess>().is_err());
    }

    #[test]
    fn numbers_that_no_device_has_are_refused() {
        for bad in ["allow c 4096:0 r", "allow b 0:1048576 r"] {
            assert!(bad.parse::<DeviceRule>().unwrap().check().is_err(), "{bad}");
        }
        assert!("allow c 4095:1048575 r".parse::<DeviceRule>().unwrap().check().is_ok());
    }
}
