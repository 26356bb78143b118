//! An image that is on its way out.

use std::os::fd::OwnedFd;

use crate::digest::{Digest, ImageId};
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::diff_ids;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::Store;

/// What of an image goes out. While it lives no layer of it is removed, and yet removals need not wait for it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) id: ImageId,
    /// The name it was found by.
    pub(crate) reference: Option<Reference>,
    /// As it came.
    pub(crate) config: Vec<u8>,
    /// The uncompressed layers, the bottom one first.
    pub(crate) diff_ids: Vec<Digest>,
    /// What its configuration says that it is for.
    pub(crate) platform: Platform,
    _held: Vec<OwnedFd>,
}

impl Store {
    /// Finds what goes out by the name or id `name`.
    pub(crate) fn source(&self, name: &str) -> Result<Source> {
        let image = self.find(name)?;
        let diff_ids = diff_ids(&image.config)?;
        let mut held = Vec::with_capacity(diff_ids.len());
        for diff_id in &diff_ids {
            held.push(self.hold_layer(diff_id)?.ok_or_else(|| {
                let message = format!("layer {diff_id} of image {} is missing", image.id);
                Error::new(ErrorKind::Corrupt, message)
            })?);
        }
        Ok(Source {
            id: image.id,
            config: self.configuration_bytes(&image.id)?,
            reference: image.reference,
            diff_ids,
            platform: Platform::of_config(&image.config),
            _held: held,
        })
    }
}
