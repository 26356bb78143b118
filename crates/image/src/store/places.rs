//! Where manifests were pushed to: one file a manifest. A later push may have their blobs mounted from there.

use std::collections::BTreeSet;

use super::record::encode;
use super::{Staging, Store};
use crate::digest::{Digest, ImageId};
use crate::error::Result;
use crate::reference::Reference;

/// The most that is kept for one manifest.
const MOST: usize = 16;

/// Registries and repositories in them.
type Places = BTreeSet<(String, String)>;

impl Store {
    /// Keeps a manifest that was made for an image or pushed, and where it is, if the image is there still.
    pub(crate) fn keep_manifest(
        &self,
        staging: &Staging,
        id: &ImageId,
        manifest: &[u8],
        place: Option<&Reference>,
    ) -> Result<()> {
        let _lock = self.lock_shared()?;
        if self.record(id)?.is_none() {
            return Ok(());
        }
        self.describe(staging, manifest, id)?;
        let Some(place) = place else { return Ok(()) };
        let digest = Digest::of(manifest);
        let mut places = self.places(&digest)?;
        let place = (place.registry().to_owned(), place.repository().to_owned());
        if places.len() < MOST && places.insert(place) {
            self.write_whole(staging, &self.places, &digest.hex(), &encode(&places)?)?;
        }
        Ok(())
    }

    /// Where a manifest was pushed to. What can't be read is not known: it would save some time, no more.
    pub(crate) fn places(&self, manifest: &Digest) -> Result<Places> {
        let bytes = self.read_whole(&self.places, &manifest.hex())?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }
}
