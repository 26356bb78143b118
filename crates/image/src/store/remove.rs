//! Removing names, and what nothing names or needs any more.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::layers::is_held;
use super::{Staging, Store};
use crate::digest::{Digest, ImageId};
use crate::error::{Error, ErrorKind, Result};
use crate::reference::Reference;

/// How much of an image a removal may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// One name; the image with its last one. An image called by id must not have more.
    OneName,
    /// The image, with all its names. One that is in use and called by a name loses its names alone, as Docker has it.
    AllNames,
}

/// What a removal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The names that are gone.
    pub untagged: Vec<Reference>,
    /// The image, if it is gone.
    pub deleted: Option<ImageId>,
}

impl Store {
    /// Removes the image called `name` (by name or id), or one name of it.
    ///
    /// `in_use` is asked, while nobody can find or add an image, whether one that would go is needed still. Layers
    /// that no image has any more go too, with what killed processes left.
    ///
    /// # Errors
    /// As [`Store::find`]; [`ErrorKind::InUse`]; [`ErrorKind::Referenced`] for an id with several names;
    /// [`ErrorKind::Busy`] when others, holding an [`Image`](crate::Image), keep the store locked.
    pub fn remove(
        &self,
        name: &str,
        removal: Removal,
        in_use: impl Fn(&ImageId) -> bool,
    ) -> Result<Removed> {
        let lock = self.lock_exclusive()?;
        let (id, by_name) = self.resolve(name)?;
        let names = self.references(&id)?;
        let called_by_name = by_name.is_some();
        let untagged = match (removal, by_name) {
            (Removal::OneName, Some(reference)) => vec![reference],
            (Removal::OneName, None) if names.len() > 1 => {
                let message = format!("image {id} has {} names: {}", names.len(), joined(&names));
                return Err(Error::new(ErrorKind::Referenced, message));
            }
            _ => names.clone(),
        };
        let last = names.iter().all(|name| untagged.contains(name));
        let stays = last && in_use(&id);
        if stays && (removal == Removal::OneName || names.is_empty() || !called_by_name) {
            return Err(Error::new(ErrorKind::InUse, format!("image {id} is in use")));
        }
        for reference in &untagged {
            self.forget(reference)?;
        }
        if !last || stays {
            return Ok(Removed { untagged, deleted: None });
        }
        unlink(&self.images, &id.0)?;
        let trash = Staging::new(self)?;
        self.collect(&trash)?;
        // Emptying the trash takes longest, and needs no lock.
        drop(lock);
        drop(trash);
        Ok(Removed { untagged, deleted: Some(id) })
    }

    /// Moves to `trash` what no record needs. The caller holds the exclusive lock, so that nothing is half added.
    pub(crate) fn collect(&self, trash: &Staging) -> Result<()> {
        let (mut layers, mut blobs) = (BTreeSet::new(), BTreeSet::new());
        for id in self.ids()? {
            blobs.insert(id.0);
            layers.extend(self.record(&id)?.into_iter().flat_map(|record| record.layers));
        }
        for name in self.names(&self.manifests)? {
            let Some(manifest) = Digest::from_hex(&name) else { continue };
            let describes = self.read_whole(&self.manifests, &name)?;
            let describes = describes.and_then(|id| serde_json::from_slice::<ImageId>(&id).ok());
            match describes {
                Some(id) if blobs.contains(&id.0) => {
                    blobs.insert(manifest);
                }
                _ => unlink(&self.manifests, &manifest)?,
            }
        }
        for name in self.names(&self.places)? {
            if let Some(manifest) = Digest::from_hex(&name)
                && !blobs.contains(&manifest)
            {
                unlink(&self.places, &manifest)?;
            }
        }
        for name in self.names(&self.layers)? {
            let needed = Digest::from_hex(&name).is_some_and(|layer| layers.contains(&layer));
            if !needed && !is_held(&self.layers, &name) {
                rustix::fs::renameat(&self.layers, &name, trash.fd(), &name)
                    .map_err(|e| Error::call("renameat", format!("layers/{name}, tmp"), e))?;
            }
        }
        for name in self.names(&self.blobs)? {
            if let Some(blob) = Digest::from_hex(&name)
                && !blobs.contains(&blob)
            {
                unlink(&self.blobs, &blob)?;
            }
        }
        rustix::fs::fsync(self.layers.as_fd()).map_err(|e| Error::call("fsync", "layers", e))
    }
}

pub(super) fn unlink(directory: &OwnedFd, digest: &Digest) -> Result<()> {
    match rustix::fs::unlinkat(directory, digest.hex(), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::call("unlinkat", digest, errno)),
    }
}

fn joined(names: &[Reference]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
