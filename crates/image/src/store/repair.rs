//! Taking out of the store what is damaged, so that it can come anew.

use std::collections::BTreeSet;

use super::remove::unlink;
use super::{Damage, Part, Staging, Store};
use crate::digest::ImageId;
use crate::error::Result;

impl Store {
    /// Removes what [`Store::check`] found damaged, and the images that need it. They are to be pulled or loaded again:
    /// until then their layers would be taken for what they were. An image that `in_use` says is needed stays as it is.
    ///
    /// Gives the images that are gone.
    ///
    /// # Errors
    /// As [`Store::remove`].
    pub fn repair(
        &self,
        damages: &[Damage],
        in_use: impl Fn(&ImageId) -> bool,
    ) -> Result<Vec<ImageId>> {
        let lock = self.lock_exclusive()?;
        let of = |damage: &Damage| damage.images.clone();
        let images: BTreeSet<ImageId> = damages.iter().flat_map(of).collect();
        let (kept, gone): (Vec<_>, Vec<_>) = images.into_iter().partition(in_use);
        // First the names that can't be read: without them the others can be.
        for damage in damages {
            match damage.part {
                Part::Name(name) => unlink(&self.references, &name)?,
                // A manifest: what it tells is told by the registry.
                Part::Blob(blob) if damage.images.is_empty() => {
                    unlink(&self.manifests, &blob)?;
                    unlink(&self.blobs, &blob)?;
                }
                _ => {}
            }
        }
        for (reference, id) in self.all_references()? {
            if gone.contains(&id) {
                self.forget(&reference)?;
            }
        }
        for id in &gone {
            unlink(&self.images, &id.0)?;
        }
        let trash = Staging::new(self)?;
        // Whoever is in use may be what can't be read: then nothing is known to be needless.
        if kept.iter().all(|id| self.record(id).is_ok()) {
            self.collect(&trash)?;
        }
        drop(lock);
        Ok(gone)
    }
}
