//! How much an archive may unfold to, and readers that count.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};

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
    /// Decompressed bytes of the archive, and of all its layers together, holes in sparse files included. 64 GiB
    /// unless set.
    pub unpacked_bytes: u64,
    /// Entries of one layer: files, directories, links and the rest. 4 million unless set.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unpacked_bytes: 64 << 30, entries: 4_000_000 }
    }
}

/// Bytes that may still be unfolded, by all who do so for one purpose together.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU64);

impl Budget {
    pub(crate) fn new(most: u64) -> Self {
        Self(AtomicU64::new(most))
    }

    /// Takes so many bytes of it; fails, as a file too large does, when there are fewer.
    pub(crate) fn take(&self, bytes: u64) -> io::Result<()> {
        let take = |left: u64| left.checked_sub(bytes);
        match self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => Ok(()),
            Err(_left) => Err(io::ErrorKind::FileTooLarge.into()),
        }
    }
}

/// Fails when more comes through than the budget has.
pub(crate) struct Capped<'a, R> {
    inner: R,
    budget: &'a Budget,
}

impl<'a, R> Capped<'a, R> {
    pub(crate) fn new(inner: R, budget: &'a Budget) -> Self {
        Self { inner, budget }
    }
}

impl<R: Read> Read for Capped<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.budget.take(read as u64)?;
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
