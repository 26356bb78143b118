//! How far a pull is.

use crate::digest::Digest;

/// What has happened, told as it happens and from several threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A layer of the image; all are told, the bottom one first, before any is downloaded.
    Layer {
        /// Its digest in the registry.
        digest: Digest,
        /// Bytes to download.
        size: u64,
        /// It is in the store already, and nothing will be told of it any more.
        here: bool,
    },
    /// Some of a layer has come.
    Received {
        /// Which.
        digest: Digest,
        /// Bytes of it that are here now, those of an earlier pull included.
        bytes: u64,
    },
    /// A layer is in the store.
    Done {
        /// Which.
        digest: Digest,
    },
}
