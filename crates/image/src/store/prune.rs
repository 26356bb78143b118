//! Removing all that nobody asked to keep.

use jiff::Timestamp;

use super::remove::unlink;
use super::usage::disk_usage;
use super::{Staging, Store};
use crate::digest::ImageId;
use crate::error::Result;
use crate::reference::Reference;

/// What a pruning did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The images that are gone.
    pub deleted: Vec<ImageId>,
    /// The names that are gone.
    pub untagged: Vec<Reference>,
    /// Bytes on disk that their layers, and partial downloads, had.
    pub freed: u64,
}

impl Store {
    /// Removes images that have no name (with `all`, also those that have), layers that no image needs, and what was
    /// left of downloads that were broken off.
    ///
    /// With `until` only images that were built before then go; one that does not say when it was built stays. An
    /// image that `in_use` says is needed stays, and so does one that is in a manifest list.
    ///
    /// # Errors
    /// As [`Store::remove`].
    pub fn prune(
        &self,
        all: bool,
        until: Option<Timestamp>,
        in_use: impl Fn(&ImageId) -> bool,
    ) -> Result<Pruned> {
        let lock = self.lock_exclusive()?;
        let mut pruned = Pruned::default();
        let listed = self.listed()?;
        for image in self.list()? {
            let old = until.is_none_or(|until| image.created.is_some_and(|at| at < until));
            if !old
                || !(all || image.references.is_empty())
                || listed.contains(&image.id)
                || in_use(&image.id)
            {
                continue;
            }
            for reference in image.references {
                self.forget(&reference)?;
                pruned.untagged.push(reference);
            }
            unlink(&self.images, &image.id.0)?;
            pruned.deleted.push(image.id);
        }
        let trash = Staging::new(self)?;
        self.collect(&trash)?;
        // The rest takes longest, and needs no lock.
        drop(lock);
        pruned.freed = self.remove_partials(|_| true)?;
        for name in self.names(trash.fd())? {
            pruned.freed = pruned.freed.saturating_add(disk_usage(trash.fd(), &name)?);
        }
        Ok(pruned)
    }
}
