//! An image that was found, and the summary of one that is listed.

use std::path::PathBuf;

use jiff::Timestamp;
use oci_spec::image::ImageConfiguration;

use crate::digest::ImageId;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::Lock;

/// An image, ready to be used.
///
/// While it lives, nothing is removed from the store: drop it when the use of the image is on record where
/// [`Store::remove`](crate::Store::remove) will ask for it, and before starting anything that inherits descriptors
/// without `exec`, which would keep the lock.
#[derive(Debug)]
pub struct Image {
    /// The digest of the configuration.
    pub id: ImageId,
    /// The name it was found by; `None` when it was found by id. [`Store::references`](crate::Store::references)
    /// gives all its names.
    pub reference: Option<Reference>,
    /// What to run, and how.
    pub config: ImageConfiguration,
    /// The layers' directories as overlayfs wants its lower ones: absolute, the top layer first, none twice.
    pub layers: Vec<PathBuf>,
    /// Bytes in all files of all layers.
    pub size: u64,
    /// When it was built, if it says so.
    pub created: Option<Timestamp>,
    pub(crate) _lock: Lock,
}

impl Image {
    /// What its configuration says that it is for.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform::of_config(&self.config)
    }
}

/// One image of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The digest of the configuration.
    pub id: ImageId,
    /// Its names, in order; none for an image whose name was given to another.
    pub references: Vec<Reference>,
    /// Bytes in all files of all layers, those shared with other images included.
    pub size: u64,
    /// When it was built, if it says so.
    pub created: Option<Timestamp>,
}

/// The time in a configuration; one that is none is no reason to refuse an image.
pub(crate) fn created(config: &ImageConfiguration) -> Option<Timestamp> {
    config.created().as_ref().and_then(|text| text.parse().ok())
}
