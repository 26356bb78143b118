//! Where images are pushed to: the seam to whoever speaks a registry's protocol.

use std::fmt;
use std::io::{self, Read};

use crate::digest::Digest;
use crate::pull::{Cause, ManifestName};

/// One repository, somewhere else: takes manifests and blobs.
///
/// Trying again, authorization and time limits are its own business; a call that does not return holds the push up. It is
/// called from several threads at once.
pub trait Destination: Sync {
    /// Whether the repository has a blob, or can have it from one of `others`, repositories of the same registry that
    /// may be known there.
    ///
    /// # Errors
    /// Whatever it likes; becomes the source of an error of the kind [`ErrorKind::Remote`](crate::ErrorKind::Remote).
    fn has_blob(&self, digest: &Digest, others: &[&str]) -> Result<bool, Cause>;

    /// Sees to it that the repository has a blob. One that is there already need not be read.
    ///
    /// # Errors
    /// As [`Destination::has_blob`].
    fn put_blob(&self, blob: &OutgoingBlob<'_>) -> Result<(), Cause>;

    /// Takes a manifest or an index under a tag or its digest. All that it names is there.
    ///
    /// # Errors
    /// As [`Destination::has_blob`].
    fn put_manifest(
        &self,
        name: &ManifestName,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<(), Cause>;
}

/// A blob that is going out.
pub struct OutgoingBlob<'a> {
    /// What it is known by.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Opens it from its first byte on, once for every attempt.
    pub open: &'a dyn Fn() -> io::Result<Box<dyn Read + 'a>>,
}

impl fmt::Debug for OutgoingBlob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { digest, size, .. } = self;
        f.debug_struct("OutgoingBlob").field("digest", digest).field("size", size).finish()
    }
}
