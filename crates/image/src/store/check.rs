//! Checking that what is in the store is what it was when it came.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use super::compare::compare;
use super::{Staging, Store};
use crate::digest::{Digest, ImageId};
use crate::error::{Error, ErrorKind, Result};

/// Something in the store that is not what it should be.
#[derive(Debug)]
pub struct Damage {
    /// What is damaged.
    pub part: Part,
    /// The images that need it.
    pub images: Vec<ImageId>,
    /// What is wrong. [`ErrorKind::Unsupported`] of a layer means that it can't be checked: an older version unpacked it.
    pub error: Error,
}

/// A part of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Part {
    /// An image's record or configuration.
    Image(ImageId),
    /// A configuration, manifest or index.
    Blob(Digest),
    /// A layer's files, or the recipe beside them.
    Layer(Digest),
    /// The file of an image's name, which is called after the digest of the name.
    Name(Digest),
}

impl Store {
    /// Reads all names, all blobs, all records, and all files of all layers, and gives what is damaged.
    ///
    /// Of a layer's files the contents are checked by the stream that they and its recipe make, which must have the
    /// layer's digest; and names, kinds, owners, modes, times of modification and extended attributes by unpacking that
    /// stream once more, without contents, in `tmp`. An image that is damaged is mended by [`Store::repair`], and
    /// pulling or loading it again.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the store's directories can't be read, or not be written; [`ErrorKind::Busy`].
    pub fn check(&self) -> Result<Vec<Damage>> {
        let mut damages = Vec::new();
        let mut layers: BTreeMap<Digest, Vec<ImageId>> = BTreeMap::new();
        for name in self.names(&self.layers)? {
            if let Some(layer) = Digest::from_hex(&name) {
                layers.insert(layer, Vec::new());
            }
        }
        for id in self.ids()? {
            // What goes meanwhile is no damage.
            let _lock = self.lock_shared()?;
            let part = Part::Image(id);
            match self.record(&id) {
                Ok(None) => continue,
                Ok(Some(record)) => {
                    for layer in record.layers {
                        layers.entry(layer).or_default().push(id);
                    }
                }
                Err(error) => damages.push(Damage { part, images: vec![id], error }),
            }
            if let Err(error) = self.config(&id) {
                damages.push(Damage { part, images: vec![id], error });
            }
        }
        for name in self.names(&self.references)? {
            if let Err(error) = self.check_name(&name)
                && let Some(digest) = Digest::from_hex(&name)
            {
                damages.push(Damage { part: Part::Name(digest), images: Vec::new(), error });
            }
        }
        for name in self.names(&self.blobs)? {
            let Some(digest) = Digest::from_hex(&name) else { continue };
            if let Err(error) = self.check_blob(&digest) {
                let images = self.ids()?.into_iter().filter(|id| id.0 == digest).collect();
                damages.push(Damage { part: Part::Blob(digest), images, error });
            }
        }
        for (layer, images) in layers {
            match self.check_layer(&layer) {
                // Nobody's, or no more, and gone since: no damage.
                Err(error)
                    if error.kind() == ErrorKind::NotFound
                        && !images
                            .iter()
                            .any(|id| self.record(id).is_ok_and(|it| it.is_some())) => {}
                // It can't be told from here.
                Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Busy) => {
                    return Err(error);
                }
                Err(error) => damages.push(Damage { part: Part::Layer(layer), images, error }),
                Ok(()) => {}
            }
        }
        Ok(damages)
    }

    fn check_blob(&self, digest: &Digest) -> Result<()> {
        match self.read_whole(&self.blobs, &digest.hex())? {
            Some(bytes) if Digest::of(&bytes) != *digest => {
                let found = Digest::of(&bytes);
                let message = format!("blob {digest} was changed; its digest is {found}");
                Err(Error::new(ErrorKind::Corrupt, message))
            }
            _ => Ok(()),
        }
    }

    fn check_layer(&self, layer: &Digest) -> Result<()> {
        let damaged = |error: Error| match error.kind() {
            ErrorKind::Io | ErrorKind::Busy => error,
            _ => Error::new(ErrorKind::Corrupt, format!("layer {layer} is damaged")).because(error),
        };
        let stream = self.layer_stream(layer)?;
        let staging = Staging::new(self)?;
        let again = self.stage_outline(&staging, stream).map_err(damaged)?;
        let Some(held) = self.hold_layer(layer)? else { return Ok(()) };
        let compared = compare(staging.fd(), &again.directory, held.as_fd());
        compared.map_err(damaged)
    }
}
