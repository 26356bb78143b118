//! Sparse files: maps that say where in a file the data of an entry belongs
//! ([GNU tar](https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html), all four formats).

use crate::error::{Error, ErrorKind, Result, shown};

/// The most stretches of data that a file may have.
pub(crate) const STRETCHES: usize = 1 << 20;

/// A file with holes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sparse {
    /// How long it is, holes included.
    pub(crate) size: u64,
    /// Where data is, in order: offset and length, neither overlapping nor empty.
    pub(crate) map: Vec<(u64, u64)>,
}

impl Sparse {
    /// Checks that a map makes sense, and is of `stored` bytes.
    pub(super) fn new(size: u64, map: MapBuilder, stored: u64) -> Result<Self> {
        if i64::try_from(size).is_err() {
            return Err(Error::malformed(format!("a sparse file of {size} bytes")));
        }
        let (mut end, mut bytes) = (0, 0_u64);
        for (offset, length) in &map.0 {
            let next = offset.checked_add(*length).filter(|next| *next <= size);
            end = match next {
                Some(next) if *offset >= end => next,
                _ => return Err(Error::malformed("a sparse file's data overlap, or end after it")),
            };
            // No sum is larger than the size, as they do not overlap.
            bytes += length;
        }
        if bytes != stored {
            let message = format!("a sparse file's map is of {bytes} bytes, and {stored} come");
            return Err(Error::malformed(message));
        }
        let mut map = map.0;
        // Writers mark the end of a file that ends with a hole like this.
        map.retain(|(_, length)| *length > 0);
        Ok(Self { size, map })
    }
}

/// A map that is being read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MapBuilder(Vec<(u64, u64)>);

impl MapBuilder {
    pub(super) fn push(&mut self, offset: u64, length: u64) -> Result<()> {
        if self.0.len() == STRETCHES {
            let message = format!("a sparse file has more than {STRETCHES} stretches of data");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        self.0.push((offset, length));
        Ok(())
    }

    pub(super) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Takes in a table of the old format: pairs of twelve bytes each. Whether the map goes on after it.
    ///
    /// A pair of zeros ends the map, and nothing may follow: some readers would see it, others not.
    pub(super) fn push_table(&mut self, table: &[u8], mut open: bool) -> Result<bool> {
        let (pairs, _) = table.as_chunks::<24>();
        for pair in pairs {
            let (offset, length) = pair.split_at(12);
            match (pair[0] == 0, pair[12] == 0) {
                (false, false) if open => self.push(number(offset)?, number(length)?)?,
                (true, true) => open = false,
                _ => return Err(Error::malformed("a sparse file's map has a gap")),
            }
        }
        Ok(open)
    }
}

/// A number of a header: octal digits, or base-256 that fits 64 bits.
pub(super) fn number(field: &[u8]) -> Result<u64> {
    let broken =
        || Error::malformed(format!("a sparse file's header has the number {}", shown(field)));
    if let Some((&[0x80, 0, 0, 0], rest)) = field.split_first_chunk::<4>() {
        let bytes = rest.try_into().map_err(|e| broken().because(e))?;
        return Ok(u64::from_be_bytes(bytes));
    }
    let text = field.trim_ascii_start();
    let end = text.iter().position(|c| matches!(c, b' ' | b'\0')).unwrap_or(text.len());
    let digits = &text[..end];
    if digits.is_empty() || !digits.iter().all(|c| matches!(c, b'0'..=b'7')) {
        return Err(broken());
    }
    // Twelve digits of three bits.
    Ok(digits.iter().fold(0, |sum, digit| sum << 3 | u64::from(digit - b'0')))
}

/// The lines of a map that the data of an entry begin with, block by block.
#[derive(Debug)]
pub(super) struct Lines {
    block: [u8; 512],
    at: usize,
    /// The digits of a line that goes on in the next block.
    digits: Vec<u8>,
}

impl Default for Lines {
    fn default() -> Self {
        Self { block: [0; 512], at: 512, digits: Vec::new() }
    }
}

impl Lines {
    /// The next number; `Some(None)` if another block is needed, `None` if it is no number.
    pub(super) fn next(&mut self) -> Option<Option<u64>> {
        let rest = &self.block[self.at..];
        let line = rest.iter().position(|c| *c == b'\n');
        self.digits.extend_from_slice(&rest[..line.unwrap_or(rest.len())]);
        if self.digits.len() > 20 {
            return None;
        }
        let Some(length) = line else {
            self.at = self.block.len();
            return Some(None);
        };
        self.at += length + 1;
        super::pax::decimal(&std::mem::take(&mut self.digits)).map(Some)
    }

    /// Where the next block goes.
    pub(super) fn block(&mut self) -> &mut [u8] {
        self.at = 0;
        &mut self.block
    }
}

/// What extended headers say of a sparse file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    major: Option<u64>,
    minor: Option<u64>,
    name: Option<Vec<u8>>,
    size: Option<u64>,
    real_size: Option<u64>,
    blocks: Option<u64>,
    /// Version 0.0 has a record for each offset, and one for each length after it.
    offset: Option<u64>,
    map: MapBuilder,
    /// Version 0.1 has one for all.
    has_map: bool,
}

/// Where the map of a sparse file is found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In the header, and in blocks after it.
    Old,
    /// In the extended header: this is it (versions 0.0 and 0.1).
    Known { size: u64, map: MapBuilder },
    /// At the beginning of the data (version 1.0).
    InData { size: u64 },
}

impl Records {
    /// Takes in one record; `key` is what follows `GNU.sparse.`.
    pub(super) fn set(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let broken = || {
            Error::malformed(format!("PAX GNU.sparse.{} is {}", key.escape_ascii(), shown(value)))
        };
        let number = || super::pax::decimal(value).ok_or_else(broken);
        let slot = match key {
            b"major" => &mut self.major,
            b"minor" => &mut self.minor,
            b"size" => &mut self.size,
            b"realsize" => &mut self.real_size,
            b"numblocks" => &mut self.blocks,
            b"name" => return super::pax::once(&mut self.name, value.to_vec(), b"GNU.sparse.name"),
            b"offset" => &mut self.offset,
            b"numbytes" => {
                let offset = self.offset.take().ok_or_else(broken)?;
                return self.map.push(offset, number()?);
            }
            b"map" if !self.has_map && self.map.len() == 0 => {
                self.has_map = true;
                return self.map_of(value, broken);
            }
            _ => return Err(broken()),
        };
        super::pax::once(slot, number()?, key)
    }

    fn map_of(&mut self, value: &[u8], broken: impl Fn() -> Error) -> Result<()> {
        let mut numbers = value.split(|c| *c == b',');
        while let Some(offset) = numbers.next() {
            if offset.is_empty() && value.is_empty() {
                break;
            }
            let pair = (super::pax::decimal(offset), numbers.next().and_then(super::pax::decimal));
            let (Some(offset), Some(length)) = pair else { return Err(broken()) };
            self.map.push(offset, length)?;
        }
        Ok(())
    }

    /// The file's name, which replaces the entry's, and where its map is.
    pub(super) fn finish(self) -> Result<(Option<Vec<u8>>, Form)> {
        let broken =
            || Error::malformed("what an extended header says of a sparse file is no sense");
        let size = match (self.size, self.real_size) {
            (Some(size), Some(real)) if size == real => size,
            (Some(size), None) | (None, Some(size)) => size,
            _ => return Err(broken()),
        };
        let has_map = self.has_map || self.map.len() > 0;
        let form = match (self.major, self.minor) {
            (Some(1), Some(0)) if !has_map && self.blocks.is_none() && self.offset.is_none() => {
                Form::InData { size }
            }
            (None | Some(0), None | Some(0 | 1))
                if self.blocks == Some(self.map.len()) && self.offset.is_none() =>
            {
                Form::Known { size, map: self.map }
            }
            _ => return Err(broken()),
        };
        Ok((self.name, form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sparse(size: u64, map: &[(u64, u64)], stored: u64) -> Result<Sparse> {
        Sparse::new(size, MapBuilder(map.to_vec()), stored)
    }

    #[test]
    fn maps_that_make_sense_are_kept_without_empty_stretches() {
        let map = [(0, 3), (3, 0), (10, 5), (20, 0)];
        assert_eq!(sparse(20, &map, 8).unwrap().map, [(0, 3), (10, 5)]);
        assert_eq!(sparse(1 << 40, &[], 0).unwrap().map, []);
    }

    #[test]
    fn maps_that_make_none_are_refused() {
        for (size, map, stored) in [
            (20, &[(0, 3), (2, 3)][..], 6),
            (20, &[(10, 5), (0, 3)], 8),
            (20, &[(18, 3)], 3),
            (20, &[(21, 0)], 0),
            (20, &[(u64::MAX, 2)], 2),
            (20, &[(5, u64::MAX)], 2),
            (20, &[(0, 3)], 2),
            (u64::MAX, &[], 0),
        ] {
            assert_eq!(sparse(size, map, stored).unwrap_err().kind(), ErrorKind::Malformed);
        }
    }

    #[test]
    fn numbers_are_octal_or_base_256() {
        assert_eq!(number(b"00000001000\0").unwrap(), 512);
        assert_eq!(number(b"777777777777").unwrap(), 0o7777_7777_7777);
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x20\0\0\0\0").unwrap(), 1 << 37);
        for field in
            [&b"\0\0\0\0\0\0\0\0\0\0\0\0"[..], b"00000000008\0", b"\xff\xff\xff\xff12345678"]
        {
            assert_eq!(number(field).unwrap_err().kind(), ErrorKind::Malformed);
        }
    }
}
