//! How far a push is.

use crate::digest::Digest;

/// What has happened, told as it happens and from several threads. Layers are told by their uncompressed digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushProgress {
    /// The destination had a layer, or has it now without anything sent.
    Present {
        /// Which.
        layer: Digest,
    },
    /// A layer is packed.
    Packing {
        /// Which.
        layer: Digest,
        /// Bytes that are to be packed.
        size: u64,
    },
    /// Some of a layer has gone out. It may begin anew, if the connection broke.
    Sent {
        /// Which.
        layer: Digest,
        /// Bytes so far.
        bytes: u64,
        /// Bytes of all.
        size: u64,
    },
    /// The destination has a layer that was to be sent.
    Done {
        /// Which.
        layer: Digest,
    },
}
