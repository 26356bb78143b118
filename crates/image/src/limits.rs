//! How much an archive may unfold to, and readers that count.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// The largest manifest, index or configuration that is read, in bytes (4 MiB).
pub(crate) const DOCUMENT: u64 = 4 << 20;

/// What one load or import may cost the machine, at most.
///
/// There is no limit on the ratio of compression: a disk image of zeros is honest at 1000:1, and what a bomb
/// costs is bounded by these numbers and by memory that does not grow with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Decompressed bytes of the archive, and of all its layers together. 64 GiB unless set.
    pub unpacked_bytes: u64,
    /// Entries of one layer: files, directories, links and the rest. 4 million unless set.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unpacked_bytes: 64 << 30, entries: 4_000_000 }
    }
}

/// Fails, as a file too large does, when more than so many bytes come through.
pub(crate) struct Capped<R> {
    inner: R,
    left: u64,
}

impl<R> Capped<R> {
    pub(crate) fn new(inner: R, most: u64) -> Self {
        Self { inner, left: most }
    }
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let too_large = || io::Error::from(io::ErrorKind::FileTooLarge);
        self.left = self.left.checked_sub(read as u64).ok_or_else(too_large)?;
        Ok(read)
    }
}

/// Hashes and counts what comes through.
pub(crate) struct Hashed<R> {
    inner: R,
    hash: Sha256,
    bytes: u64,
}

impl<R> Hashed<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new(), bytes: 0 }
    }

    /// The digest and number of the bytes read so far.
    pub(crate) fn finish(self) -> (Digest, u64) {
        (Digest::finish(self.hash), self.bytes)
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
