//! What the store knows of images that are elsewhere: the manifests that came with them, and so their blobs.

use std::collections::{BTreeMap, BTreeSet};

use oci_spec::image::{ImageManifest, MediaType};

use super::document::Part;
use crate::digest::{Digest, ImageId};
use crate::error::Result;
use crate::manifest::{DOCKER_MANIFEST, compression, digest, is_image_config};
use crate::store::Store;

/// A manifest of an image of the store.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) digest: Digest,
    pub(crate) id: ImageId,
    pub(crate) bytes: Vec<u8>,
    pub(crate) media_type: String,
    pub(crate) annotations: BTreeMap<String, String>,
    /// Bottom layer first: its uncompressed digest, and its blob.
    pub(crate) layers: Vec<(Digest, Part)>,
}

/// Blobs that layers are known to be in somewhere, by their uncompressed digests.
pub(crate) type KnownBlobs = BTreeMap<Digest, Vec<KnownBlob>>;

/// A blob that some manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownBlob {
    pub(crate) part: Part,
    /// The repositories of one registry where it may be.
    pub(crate) repositories: BTreeSet<String>,
}

impl Store {
    /// The manifests of all images, or of one, in the order of their digests. What can't be read as one is left out.
    pub(crate) fn known(&self, of: Option<&ImageId>) -> Result<Vec<Known>> {
        let mut all = Vec::new();
        for name in self.names(&self.manifests)? {
            let Some(digest) = Digest::from_hex(&name) else { continue };
            let id = self.read_whole(&self.manifests, &name)?;
            let id = id.and_then(|id| serde_json::from_slice::<ImageId>(&id).ok());
            let Some(id) = id.filter(|id| of.is_none_or(|of| of == id)) else { continue };
            let Some(bytes) = self.read_whole(&self.blobs, &name)? else { continue };
            if Digest::of(&bytes) == digest
                && let Some(diff_ids) = self.layers_of(&id)?
            {
                all.extend(Known::read(digest, id, bytes, &diff_ids));
            }
        }
        all.sort_by_key(|known| known.digest);
        Ok(all)
    }

    /// Where the layers of all images may be in `registry`: every repository of it that an image has a name in, or was
    /// pushed to.
    pub(crate) fn known_blobs(&self, registry: &str) -> Result<KnownBlobs> {
        let mut places: BTreeMap<ImageId, BTreeSet<String>> = BTreeMap::new();
        for (reference, id) in self.all_references()? {
            if reference.registry() == registry {
                places.entry(id).or_default().insert(reference.repository().to_owned());
            }
        }
        let mut blobs = KnownBlobs::new();
        for known in self.known(None)? {
            let mut repositories = places.get(&known.id).cloned().unwrap_or_default();
            let pushed = self.places(&known.digest)?.into_iter();
            repositories.extend(pushed.filter(|(there, _)| there == registry).map(|(_, it)| it));
            for (diff_id, part) in known.layers {
                let same = blobs.entry(diff_id).or_default();
                let at = same.iter().position(|blob| blob.part == part).unwrap_or_else(|| {
                    same.push(KnownBlob { part, repositories: BTreeSet::new() });
                    same.len() - 1
                });
                same[at].repositories.extend(repositories.iter().cloned());
            }
        }
        Ok(blobs)
    }
}

impl Known {
    fn read(digest: Digest, id: ImageId, bytes: Vec<u8>, diff_ids: &[Digest]) -> Option<Self> {
        let manifest: ImageManifest = serde_json::from_slice(&bytes).ok()?;
        let media_type = manifest.media_type().clone().unwrap_or(MediaType::ImageManifest);
        let is_manifest =
            media_type == MediaType::ImageManifest || media_type.as_ref() == DOCKER_MANIFEST;
        let config = manifest.config();
        let is_its = self::digest(config).is_ok_and(|config| config == id.0)
            && is_image_config(config.media_type());
        if !is_manifest || !is_its || manifest.layers().len() != diff_ids.len() {
            return None;
        }
        let part = |descriptor| part(descriptor).ok();
        let parts: Option<Vec<_>> = manifest.layers().iter().map(part).collect();
        Some(Self {
            digest,
            id,
            media_type: media_type.to_string(),
            annotations: manifest.annotations().clone().into_iter().flatten().collect(),
            layers: diff_ids.iter().copied().zip(parts?).collect(),
            bytes,
        })
    }
}

fn part(descriptor: &oci_spec::image::Descriptor) -> Result<Part> {
    Ok(Part {
        digest: digest(descriptor)?,
        size: descriptor.size(),
        compression: compression(descriptor.media_type())?,
    })
}
