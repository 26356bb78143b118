//! A root filesystem's archive becomes an image of one layer.

use std::io::Read;

use super::Settings;
use crate::compression::{decode, recognise};
use crate::digest::ImageId;
use crate::error::{Error, Result};
use crate::limits::Budget;
use crate::reference::Reference;
use crate::store::{EndMark, NewImage, NewLayer, Staged, Staging, Store};

impl Store {
    /// Makes an image of a tar stream, plain or compressed, of a root filesystem, and names it if a name is given.
    ///
    /// The archive is read as a layer is: names that begin with `.wh.` are whiteouts.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn import(
        &self,
        rootfs: impl Read,
        reference: Option<&Reference>,
        settings: &Settings,
    ) -> Result<ImageId> {
        let what = "the root filesystem's archive";
        reference.map_or(Ok(()), |name| name.require_digest_of(&[]))?;
        let staging = Staging::new(self)?;
        let (compression, input) = recognise(rootfs, what)?;
        let budget = Budget::new(self.limits.unpacked_bytes);
        let stream = decode(compression, input);
        // No digest says what the stream should be: the mark of its end must, that it is whole.
        let staged = self.stage(&staging, stream, EndMark::Required, what, &budget)?;
        rustix::fs::syncfs(staging.fd()).map_err(|e| Error::call("syncfs", "tmp", e))?;
        let layer = staged.diff_id;
        let image = NewImage {
            config: settings.configuration(layer, "sandbar import")?,
            manifest: None,
            layers: vec![NewLayer { diff_id: layer, blob: None, digest: None }],
            references: reference.cloned().into_iter().collect(),
        };
        self.add(&staging, &[image], Staged::from([(layer, staged)])).and_then(super::files::only)
    }
}
