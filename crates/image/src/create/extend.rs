//! An image made of another and what was changed above it.

use super::changes::Changes;
use super::files::only;
use super::layer::ChangesStream;
use crate::digest::{Digest, ImageId};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Budget;
use crate::reference::Reference;
use crate::store::{EndMark, NewImage, NewLayer, Staged, Staging, Store};

impl Store {
    /// Makes an image of the layers of `base` and, above them, `changes`, if there are any. Its configuration is what
    /// `configure` makes of the digests of all layers' uncompressed streams, the bottom one first.
    ///
    /// The layer is read from its archive as that of any other image, and so is what any other store makes of it.
    ///
    /// # Errors
    /// As [`Store::find`] and [`Store::import`]; what `configure` gives.
    pub fn extend(
        &self,
        base: Option<&ImageId>,
        changes: Option<&Changes>,
        configure: impl FnOnce(&[Digest]) -> Result<Vec<u8>>,
        reference: Option<&Reference>,
    ) -> Result<ImageId> {
        reference.map_or(Ok(()), |name| name.require_digest_of(&[]))?;
        let base = base.map(|id| self.find(&id.to_string())).transpose()?;
        let mut layers = Vec::new();
        for layer in base.iter().flat_map(|base| base.config.rootfs().diff_ids()) {
            layers.push(layer.parse::<Digest>()?);
        }
        let staging = Staging::new(self)?;
        let mut staged = Staged::new();
        if let Some(changes) = changes
            && !changes.is_empty()?
        {
            let what = "the new layer";
            let budget = Budget::new(self.limits.unpacked_bytes);
            let stream = ChangesStream::new(changes)?;
            let layer = self.stage(&staging, stream, EndMark::Required, what, &budget)?;
            rustix::fs::syncfs(staging.fd()).map_err(|e| Error::call("syncfs", "tmp", e))?;
            layers.push(layer.diff_id);
            staged.insert(layer.diff_id, layer);
        }
        let config = configure(&layers)?;
        let known = |diff_id| NewLayer { diff_id, blob: None, digest: None };
        let image = NewImage {
            config,
            manifest: None,
            layers: layers.into_iter().map(known).collect(),
            references: reference.cloned().into_iter().collect(),
        };
        // The base may not go before the new image's record says that its layers are needed.
        let id = self.add(&staging, &[image], staged).and_then(only);
        drop(base);
        id
    }

    /// An image's configuration as it came, with what the OCI's specification does not know of.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Corrupt`].
    pub fn configuration(
        &self,
        id: &ImageId,
    ) -> Result<serde_json::Map<String, serde_json::Value>> {
        let bytes = self.configuration_bytes(id)?;
        serde_json::from_slice(&bytes).map_err(|e| {
            let message = format!("the configuration of image {id} is damaged");
            Error::new(ErrorKind::Corrupt, message).because(e)
        })
    }
}
