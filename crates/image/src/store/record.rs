//! Records: one small file an image, written when all else of it is there.

use serde::{Deserialize, Serialize};

use super::Store;
use crate::digest::{Digest, ImageId};
use crate::error::{Error, ErrorKind, Result};

/// What is needed to find an image's layers without looking at its configuration.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// Bottom layer first, as in the configuration.
    pub(super) layers: Vec<Digest>,
    /// Bytes in all files of all layers.
    pub(super) size: u64,
    /// When the image was built, as its configuration says; empty if it does not. Lists then need no configuration.
    /// Records of older versions lack it.
    #[serde(default)]
    pub(super) created: Option<String>,
}

impl Store {
    pub(super) fn record(&self, id: &ImageId) -> Result<Option<Record>> {
        match self.read_whole(&self.images, &id.0.hex())? {
            Some(bytes) => decode(&bytes, || format!("the record of image {id}")).map(Some),
            None => Ok(None),
        }
    }

    /// The uncompressed layers of an image, the bottom one first, if it is there.
    pub(crate) fn layers_of(&self, id: &ImageId) -> Result<Option<Vec<Digest>>> {
        Ok(self.record(id)?.map(|record| record.layers))
    }
}

/// What was read, or nothing where it is damaged: for who is about to write it anew.
pub(super) fn unless_damaged<T>(read: Result<Option<T>>) -> Result<Option<T>> {
    match read {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        read => read,
    }
}

/// Reads JSON that this crate has written.
pub(super) fn decode<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    what: impl FnOnce() -> String,
) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::new(ErrorKind::Corrupt, format!("{} is damaged", what())).because(e))
}

/// Writes JSON that this crate will read.
pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|e| Error::new(ErrorKind::Corrupt, "a value can't be written as JSON").because(e))
}
