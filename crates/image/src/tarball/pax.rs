//! PAX extended headers: `length key=value\n` records
//! ([pax](https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_03)).

use rustix::fs::Timespec;

use super::sparse::Records;
use crate::error::{Error, Result, shown};

/// What an extended header changes about the entry after it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pax {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    pub(crate) mtime: Option<Timespec>,
    /// Extended attributes: name and value.
    pub(crate) xattrs: Vec<(String, Vec<u8>)>,
    /// What makes it a sparse file, if anything does.
    pub(super) sparse: Option<Records>,
}

impl Pax {
    /// Reads all records of one header. A key that matters may come once.
    pub(crate) fn parse(mut records: &[u8]) -> Result<Self> {
        let mut pax = Self::default();
        while !records.is_empty() {
            let (key, value, rest) = record(records)
                .ok_or_else(|| Error::malformed("an extended header has a broken record"))?;
            records = rest;
            pax.set(key, value)?;
        }
        Ok(pax)
    }

    /// Whether a global header is one that says nothing about the entries after it.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let number = || {
            decimal(value).ok_or_else(|| {
                Error::malformed(format!("PAX {} is {}", key.escape_ascii(), shown(value)))
            })
        };
        match key {
            b"path" => once(&mut self.path, value.to_vec(), key),
            b"linkpath" => once(&mut self.link, value.to_vec(), key),
            b"size" => once(&mut self.size, number()?, key),
            b"uid" => once(&mut self.uid, number()?, key),
            b"gid" => once(&mut self.gid, number()?, key),
            b"mtime" => {
                let broken = || Error::malformed(format!("PAX mtime is {}", shown(value)));
                once(&mut self.mtime, timestamp(value).ok_or_else(broken)?, key)
            }
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattr(name, value)
                } else if let Some(rest) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.get_or_insert_default().set(rest, value)
                } else {
                    // Names of users, access times, comments: not needed.
                    Ok(())
                }
            }
        }
    }

    fn xattr(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        let name = String::from_utf8(name.to_vec()).map_err(|e| {
            Error::malformed("the name of an extended attribute is not UTF-8").because(e)
        })?;
        if self.xattrs.iter().any(|(known, _)| *known == name) {
            return Err(twice(name.as_bytes()));
        }
        self.xattrs.push((name, value.to_vec()));
        Ok(())
    }
}

pub(super) fn once<T>(slot: &mut Option<T>, value: T, key: &[u8]) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(twice(key)),
    }
}

fn twice(key: &[u8]) -> Error {
    Error::malformed(format!("an extended header sets {} twice", shown(key)))
}

/// The first record and what follows it.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().position(|c| *c == b' ')?;
    let length = usize::try_from(decimal(&records[..space])?).ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let body = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|c| *c == b'=')?;
    Some((&body[..equals], &body[equals + 1..], rest))
}

/// Digits alone: no sign, no blank.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Seconds since 1970, perhaps negative, perhaps with a fraction.
fn timestamp(text: &[u8]) -> Option<Timespec> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (seconds, fraction) = match text.iter().position(|c| *c == b'.') {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b""[..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = i64::try_from(decimal(seconds)?).ok()?;
    let nanoseconds = fraction
        .iter()
        .copied()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some(match (negative, nanoseconds) {
        (false, _) => Timespec { tv_sec: seconds, tv_nsec: nanoseconds },
        (true, 0) => Timespec { tv_sec: -seconds, tv_nsec: 0 },
        (true, _) => Timespec { tv_sec: -seconds - 1, tv_nsec: 1_000_000_000 - nanoseconds },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn records_are_read_whatever_bytes_they_hold() {
        let pax = Pax::parse(b"22 SCHILY.xattr.u=\n=\n\n\n14 size=12345\n").unwrap_err();
        assert_eq!(pax.kind(), ErrorKind::Malformed);
        let pax = Pax::parse(b"23 SCHILY.xattr.u=\n=\n\0\n14 size=12345\n20 mtime=1700000.25\n");
        let pax = pax.unwrap();
        assert_eq!(pax.xattrs, [("u".to_owned(), b"\n=\n\0".to_vec())]);
        assert_eq!(pax.size, Some(12345));
        assert_eq!(pax.mtime, Some(Timespec { tv_sec: 1_700_000, tv_nsec: 250_000_000 }));
    }

    #[test]
    fn broken_or_repeated_records_are_refused() {
        for records in [
            &b"9 size=1"[..],
            b"0 a=b\n",
            b"99 size=1\n",
            b"-9 size=1\n",
            b"9 size=+\n",
            b"9 size=1\n9 size=1\n",
            b"11 uid=0x10\n",
            b"size=1\n",
            b"29 uid=99999999999999999999999\n",
            b"18446744073709551615 a=b\n",
        ] {
            let error = Pax::parse(records).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed, "{}", records.escape_ascii());
        }
    }
}
