//! Compressed streams: recognised by their first bytes, decoded in bounded memory.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Mutex;

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, ErrorKind, Result};
use crate::zstd::ZstdReader;

/// Large enough that system calls and hashing don't show, small enough to stay in the processor's cache.
pub(crate) const BUFFER: usize = 256 << 10;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// RFC 1952, one or more members.
    Gzip,
    /// RFC 8878, one or more frames.
    Zstd,
}

/// The longest prefix that [`Compression::of`] looks at.
const PREFIX: usize = 6;

impl Compression {
    fn of(prefix: &[u8]) -> Result<Self> {
        match prefix {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Self::Zstd),
            // A frame to skip, which is how chunked zstd may begin.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0] => Err(unsupported("xz")),
            [b'B', b'Z', b'h', ..] => Err(unsupported("bzip2")),
            _ => Ok(Self::Plain),
        }
    }
}

fn unsupported(name: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{name} compression is not supported: use gzip, zstd or none"),
    )
}

/// Finds out how `input` is compressed, and gives the whole of it, the bytes that were looked at included.
pub(crate) fn recognise<R: Read>(
    mut input: R,
    what: &str,
) -> Result<(Compression, impl BufRead + use<R>)> {
    let mut prefix = Vec::with_capacity(PREFIX);
    (&mut input)
        .take(PREFIX as u64)
        .read_to_end(&mut prefix)
        .map_err(|e| Error::reading(what, e))?;
    let compression = Compression::of(&prefix)?;
    Ok((compression, BufReader::with_capacity(BUFFER, Cursor::new(prefix).chain(input))))
}

/// The decompressed bytes of `input`.
pub(crate) fn decode<'a>(compression: Compression, input: impl BufRead + 'a) -> Box<dyn Read + 'a> {
    match compression {
        Compression::Plain => Box::new(input),
        Compression::Gzip => Box::new(MultiGzDecoder::new(input)),
        Compression::Zstd => Box::new(ZstdReader::new(input, None)),
    }
}

/// As [`decode`], by one of several threads that share `turn`: what needs much memory is decoded by one at a time.
pub(crate) fn decode_in_turn<'a>(
    compression: Compression,
    input: impl BufRead + 'a,
    turn: &'a Mutex<()>,
) -> Box<dyn Read + 'a> {
    match compression {
        Compression::Zstd => Box::new(ZstdReader::new(input, Some(turn))),
        other => decode(other, input),
    }
}

/// The bytes of `input`, decompressed if they are compressed; `what` is what is read, for errors.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a compression that is not known here; [`ErrorKind::Io`], [`ErrorKind::Malformed`].
pub fn decompressed<'a>(input: impl Read + 'a, what: &str) -> Result<Box<dyn Read + 'a>> {
    let (compression, input) = recognise(input, what)?;
    Ok(decode(compression, input))
}

/// Reads what is left, so that whatever counts, hashes or checks below sees the end of it.
pub(crate) fn drain(mut input: impl Read, what: &str) -> Result<()> {
    io::copy(&mut input, &mut io::sink()).map_err(|e| Error::reading(what, e))?;
    Ok(())
}
