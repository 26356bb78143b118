//! Listing images.

use std::collections::BTreeMap;

use super::Store;
use super::record::{Record, decode};
use crate::digest::{Digest, ImageId};
use crate::error::Result;
use crate::image::{Summary, created};
use crate::reference::Reference;

impl Store {
    /// All images, the newest first. Takes no lock, and so answers whatever others do.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io), [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
    pub fn list(&self) -> Result<Vec<Summary>> {
        let mut names: BTreeMap<ImageId, Vec<Reference>> = BTreeMap::new();
        for (reference, id) in self.all_references()? {
            names.entry(id).or_default().push(reference);
        }
        let mut list = Vec::new();
        for id in self.ids()? {
            let Some(record) = self.record(&id)? else { continue };
            let created = match self.created(&id, &record) {
                Ok(created) => created,
                // Removed between two looks at it.
                Err(_) if self.record(&id)?.is_none() => continue,
                Err(error) => return Err(error),
            };
            let references = names.remove(&id).unwrap_or_default();
            list.push(Summary { id, references, size: record.size, created });
        }
        list.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        Ok(list)
    }

    /// The digests of the manifests and indexes by which each image came.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io), [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
    pub fn manifests(&self) -> Result<BTreeMap<ImageId, Vec<Digest>>> {
        let mut manifests: BTreeMap<ImageId, Vec<Digest>> = BTreeMap::new();
        for name in self.names(&self.manifests)? {
            if let Some(manifest) = Digest::from_hex(&name)
                && let Some(bytes) = self.read_whole(&self.manifests, &name)?
            {
                let id = decode(&bytes, || format!("manifests/{name}"))?;
                manifests.entry(id).or_default().push(manifest);
            }
        }
        manifests.values_mut().for_each(|digests| digests.sort_unstable());
        Ok(manifests)
    }

    /// When an image was built, by its record or else by its configuration.
    pub(super) fn created(&self, id: &ImageId, record: &Record) -> Result<Option<jiff::Timestamp>> {
        match &record.created {
            Some(text) => Ok(text.parse().ok()),
            None => Ok(created(&self.config(id)?)),
        }
    }
}
