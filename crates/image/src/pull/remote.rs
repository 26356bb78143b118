//! What images are pulled from: the seam to whoever speaks a registry's protocol.

use std::fmt;
use std::io::Read;

use crate::digest::Digest;

/// Why a remote failed, in its own words.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// One repository, somewhere else: gives manifests and blobs by name.
///
/// Nothing that it gives is believed. Trying again, authorization and time limits are its own business; a call that does
/// not return holds the pull up. It is called from several threads at once.
pub trait Remote: Sync {
    /// A manifest or an index. More than 4 MiB are refused by the caller: a remote need not read on.
    ///
    /// # Errors
    /// Whatever it likes; becomes the source of an error of the kind [`ErrorKind::Remote`](crate::ErrorKind::Remote).
    fn manifest(&self, which: &ManifestName) -> Result<RemoteManifest, Cause>;

    /// A blob of `size` bytes, from the byte `from` on.
    ///
    /// # Errors
    /// As [`Remote::manifest`].
    fn blob(&self, digest: &Digest, size: u64, from: u64) -> Result<RemoteBlob<'_>, Cause>;
}

/// How a manifest is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ManifestName {
    /// By a tag, which may lead elsewhere tomorrow.
    Tag(String),
    /// By its digest.
    Digest(Digest),
}

impl fmt::Display for ManifestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// A manifest as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteManifest {
    /// Its bytes, of which its digest is.
    pub bytes: Vec<u8>,
    /// The `Content-Type` that came with it; empty if there was none.
    pub media_type: String,
}

/// A blob that is coming.
pub struct RemoteBlob<'r> {
    /// The bytes. An error, or an end too early, has the caller ask again for the rest, a few times.
    pub reader: Box<dyn Read + Send + 'r>,
    /// Where in the blob the reader begins: what was asked for, or 0 if the server can't do that.
    pub from: u64,
}

impl fmt::Debug for RemoteBlob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteBlob").field("from", &self.from).finish_non_exhaustive()
    }
}
