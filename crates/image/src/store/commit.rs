//! Adding images: layers are unpacked aside, then everything appears in the order in which it is needed.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use oci_spec::image::ImageConfiguration;

use super::record::{Record, decode, encode, unless_damaged};
use super::stage::StagedLayer;
use super::{Staging, Store};
use crate::digest::{Digest, ImageId};
use crate::error::{Error, Result};
use crate::limits::Budget;
use crate::load::Blob;
use crate::reference::Reference;

/// An image whose parts were all found and read, but for the layers' contents.
pub(crate) struct NewImage {
    /// The configuration as it came: its bytes are its digest.
    pub(crate) config: Vec<u8>,
    /// The manifest as it came, if there was one.
    pub(crate) manifest: Option<Vec<u8>>,
    /// Bottom layer first.
    pub(crate) layers: Vec<NewLayer>,
    pub(crate) references: Vec<Reference>,
}

/// Where a layer's archive is, and what it must turn out to be.
pub(crate) struct NewLayer {
    /// The digest of the uncompressed stream.
    pub(crate) diff_id: Digest,
    /// The stream, compressed or not. Layers that are being made from nothing else are staged already.
    pub(crate) blob: Option<Blob>,
    /// The digest of the blob, if something promised one.
    pub(crate) digest: Option<Digest>,
}

/// Layers that wait to be put in their place, by the digest of their uncompressed stream.
pub(crate) type Staged = BTreeMap<Digest, StagedLayer>;

impl Store {
    /// Adds images: unpacks the layers that are missing, then makes all visible.
    pub(crate) fn add(
        &self,
        staging: &Staging,
        images: &[NewImage],
        mut staged: Staged,
    ) -> Result<Vec<ImageId>> {
        let budget = Budget::new(self.limits.unpacked_bytes);
        loop {
            let before = staged.len();
            for layer in images.iter().flat_map(|image| &image.layers) {
                if staged.contains_key(&layer.diff_id) || self.has_layer(&layer.diff_id)? {
                    continue;
                }
                let unpacked = self.stage_blob(staging, layer, &budget)?;
                staged.insert(layer.diff_id, unpacked);
            }
            if staged.len() > before {
                // One call for all files of all layers. What follows may then survive power loss in any order.
                rustix::fs::syncfs(staging.fd()).map_err(|e| Error::call("syncfs", "tmp", e))?;
            }
            let _lock = self.lock_shared()?;
            if self.all_here(images, &staged)? {
                self.place(staging, &staged)?;
                return images.iter().map(|image| self.publish(staging, image)).collect();
            }
            // A layer that was there was removed meanwhile: it has to be unpacked after all.
        }
    }

    fn all_here(&self, images: &[NewImage], staged: &Staged) -> Result<bool> {
        for layer in images.iter().flat_map(|image| &image.layers) {
            if !staged.contains_key(&layer.diff_id) && !self.has_layer(&layer.diff_id)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Renames unpacked layers to where they belong. The caller holds the shared lock.
    fn place(&self, staging: &Staging, staged: &Staged) -> Result<()> {
        for layer in staged.values() {
            self.place_layer(staging, layer)?;
        }
        if staged.is_empty() {
            return Ok(());
        }
        rustix::fs::fsync(self.layers.as_fd()).map_err(|e| Error::call("fsync", "layers", e))
    }

    /// Writes an image's blobs, its record, and then its names. The caller holds the shared lock.
    pub(crate) fn publish(&self, staging: &Staging, image: &NewImage) -> Result<ImageId> {
        let id = ImageId(Digest::of(&image.config));
        self.write_blob(staging, id.0, &image.config)?;
        if unless_damaged(self.record(&id))?.is_none() {
            let layers: Vec<_> = image.layers.iter().map(|layer| layer.diff_id).collect();
            let mut size = 0_u64;
            for layer in &layers {
                size = size.saturating_add(self.layer_sizes(layer)?.map_or(0, |sizes| sizes.files));
            }
            let config: ImageConfiguration =
                decode(&image.config, || format!("the configuration of image {id}"))?;
            let created = Some(config.created().clone().unwrap_or_default());
            let record = encode(&Record { layers, size, created })?;
            self.write_whole(staging, &self.images, &id.0.hex(), &record)?;
        }
        if let Some(manifest) = &image.manifest {
            self.describe(staging, manifest, &id)?;
        }
        for reference in &image.references {
            self.point(staging, reference, &id)?;
        }
        Ok(id)
    }

    /// Keeps a manifest, or an index, as one that leads to an image. The caller holds the shared lock.
    pub(crate) fn describe(&self, staging: &Staging, manifest: &[u8], id: &ImageId) -> Result<()> {
        let digest = Digest::of(manifest);
        self.write_blob(staging, digest, manifest)?;
        let pointer = encode(id)?;
        match self.read_whole(&self.manifests, &digest.hex())? {
            Some(known) if known == pointer => Ok(()),
            _ => self.write_whole(staging, &self.manifests, &digest.hex(), &pointer),
        }
    }

    fn write_blob(&self, staging: &Staging, digest: Digest, bytes: &[u8]) -> Result<()> {
        let name = digest.hex();
        match self.read_whole(&self.blobs, &name)? {
            Some(known) if known == bytes => Ok(()),
            _ => self.write_whole(staging, &self.blobs, &name, bytes),
        }
    }
}
