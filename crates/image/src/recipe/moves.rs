//! What a layer replaced of its own, and where its contents are now.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};

use super::{LEVEL, PATH};
use crate::error::{Error, ErrorKind, Result};

/// The most bytes that the moves of one layer may take in memory.
const MOST: usize = 8 << 20;

/// Collects moves while a layer is unpacked.
#[derive(Debug, Default)]
pub(crate) struct MovesBuilder {
    list: Vec<(u64, Vec<u8>)>,
    bytes: usize,
}

impl MovesBuilder {
    /// Takes down that what was at `path` becomes `kept/<n>`, after so many contents; gives `n`.
    pub(crate) fn push(&mut self, contents: u64, path: Vec<u8>) -> Result<usize> {
        self.bytes += path.len() + size_of::<(u64, Vec<u8>)>();
        if self.bytes > MOST {
            let message = "a layer replaces too many of its own entries";
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        self.list.push((contents, path));
        Ok(self.list.len() - 1)
    }

    pub(crate) fn write(&self, file: File) -> io::Result<()> {
        let mut out = zstd::stream::write::Encoder::new(file, LEVEL)?;
        for (contents, path) in &self.list {
            let length = u16::try_from(path.len())
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidFilename, e))?;
            out.write_all(&contents.to_le_bytes())?;
            out.write_all(&length.to_le_bytes())?;
            out.write_all(path)?;
        }
        out.finish().map(drop)
    }
}

/// The moves of a layer that is read.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// By where a thing was: which it is, and how many contents had come before it went.
    by_path: BTreeMap<Vec<u8>, Vec<(usize, u64)>>,
}

impl Moves {
    pub(crate) fn read(file: File) -> io::Result<Self> {
        let input = BufReader::new(zstd::stream::read::Decoder::new(file)?);
        // Twice what was allowed to be written: lengths are in it too.
        let mut input = input.take(2 * MOST as u64);
        let mut moves = Self::default();
        for n in 0.. {
            let mut fixed = [0; 10];
            match input.read(&mut fixed[..1])? {
                0 => break,
                _ => input.read_exact(&mut fixed[1..])?,
            }
            let (contents, length) = fixed.split_at(8);
            let contents = u64::from_le_bytes(contents.try_into().map_err(io::Error::other)?);
            let length = u16::from_le_bytes(length.try_into().map_err(io::Error::other)?);
            if usize::from(length) > PATH {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut path = vec![0; length.into()];
            input.read_exact(&mut path)?;
            moves.by_path.entry(path).or_default().push((n, contents));
        }
        Ok(moves)
    }

    /// Where the contents with the number `contents`, at `path` when they came, were moved: which of the things that
    /// are kept, and the path below it. `None` if they are where they were.
    pub(crate) fn find<'a>(&self, contents: u64, path: &'a [u8]) -> Option<(usize, &'a [u8])> {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        ends.chain([path.len()])
            .filter_map(|end| {
                let moved = self.by_path.get(&path[..end])?;
                // What is kept moves no more, so the first move after the contents came is the one.
                let (n, _) = moved.iter().find(|(_, before)| *before > contents)?;
                Some((*n, path.get(end + 1..).unwrap_or_default()))
            })
            .min_by_key(|(n, _)| *n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_found_where_they_were_moved_first() {
        let mut builder = MovesBuilder::default();
        // a/b (0); a/b again (1); a becomes a file (2); a becomes a directory with b (3).
        for (contents, path) in [(1, "a/b"), (2, "a"), (3, "a")] {
            builder.push(contents, path.into()).unwrap();
        }
        let place = tempfile::NamedTempFile::new().unwrap();
        builder.write(place.reopen().unwrap()).unwrap();
        let moves = Moves::read(place.reopen().unwrap()).unwrap();
        assert_eq!(moves.find(0, b"a/b"), Some((0, &b""[..])));
        assert_eq!(moves.find(1, b"a/b"), Some((1, &b"b"[..])));
        assert_eq!(moves.find(2, b"a"), Some((2, &b""[..])));
        assert_eq!(moves.find(3, b"a/b"), None);
        assert_eq!(moves.find(0, b"ab"), None);
        assert_eq!(moves.find(0, b"a/bc"), Some((1, &b"bc"[..])));
    }
}
