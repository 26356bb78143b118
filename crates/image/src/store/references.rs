//! References on disk: one file each.

use rustix::fs::AtFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::record::{decode, encode, unless_damaged};
use super::{Staging, Store};
use crate::digest::{Digest, ImageId};
use crate::error::{Error, ErrorKind, Result};
use crate::reference::Reference;

#[derive(Serialize, Deserialize)]
struct Pointer {
    reference: Reference,
    image: ImageId,
}

/// A reference may be longer than a file's name; its digest never is, and holds no slash.
fn file_name(reference: &Reference) -> String {
    Digest::of(reference.to_string().as_bytes()).hex()
}

impl Store {
    /// Gives the image called `name` (by name or id) another name, taking that from whatever had it.
    ///
    /// # Errors
    /// As [`Store::find`]; [`ErrorKind::InvalidReference`] for a digest that is not the image's; [`ErrorKind::Io`].
    pub fn tag(&self, name: &str, reference: &Reference) -> Result<ImageId> {
        let image = self.find(name)?;
        if let Some(digest) = reference.digest()
            && self.described_by(&digest)? != Some(image.id)
        {
            reference.require_digest_of(&[image.id.0])?;
        }
        let staging = Staging::new(self)?;
        self.point(&staging, reference, &image.id)?;
        Ok(image.id)
    }

    /// The names of an image. Looks at every name in the store.
    ///
    /// # Errors
    /// [`ErrorKind::Io`], [`ErrorKind::Corrupt`].
    pub fn references(&self, id: &ImageId) -> Result<Vec<Reference>> {
        let all = self.all_references()?;
        Ok(all.into_iter().filter(|(_, to)| to == id).map(|(reference, _)| reference).collect())
    }

    /// The image that has exactly this name. Removing it meanwhile is the caller's to prevent.
    pub(super) fn target(&self, reference: &Reference) -> Result<Option<ImageId>> {
        let Some(bytes) = self.read_whole(&self.references, &file_name(reference))? else {
            return Ok(None);
        };
        let pointer: Pointer = decode(&bytes, || format!("the file of the name {reference}"))?;
        match pointer.reference == *reference {
            true => Ok(Some(pointer.image)),
            false => Err(Error::new(
                ErrorKind::Corrupt,
                format!("the file of the name {reference} is that of {}", pointer.reference),
            )),
        }
    }

    /// Fails unless the file `name` of a reference is what it should be. One that is gone is no damage.
    pub(super) fn check_name(&self, name: &str) -> Result<()> {
        let Some(bytes) = self.read_whole(&self.references, name)? else { return Ok(()) };
        let pointer: Pointer = decode(&bytes, || format!("references/{name}"))?;
        match file_name(&pointer.reference) == name {
            true => Ok(()),
            false => {
                let message = format!("references/{name} is that of {}", pointer.reference);
                Err(Error::new(ErrorKind::Corrupt, message))
            }
        }
    }

    /// Points a name to an image. The caller holds the shared lock, and the image is there.
    pub(super) fn point(
        &self,
        staging: &Staging,
        reference: &Reference,
        image: &ImageId,
    ) -> Result<()> {
        if unless_damaged(self.target(reference))? == Some(*image) {
            return Ok(());
        }
        let bytes = encode(&Pointer { reference: reference.clone(), image: *image })?;
        self.write_whole(staging, &self.references, &file_name(reference), &bytes)
    }

    /// Every name in order, and the image that has it.
    pub(crate) fn all_references(&self) -> Result<Vec<(Reference, ImageId)>> {
        let mut all = Vec::new();
        for name in self.names(&self.references)? {
            // What is called otherwise is nobody's name. One that is gone by now was removed since.
            if Digest::from_hex(&name).is_some()
                && let Some(bytes) = self.read_whole(&self.references, &name)?
            {
                let pointer: Pointer = decode(&bytes, || format!("references/{name}"))?;
                all.push((pointer.reference, pointer.image));
            }
        }
        all.sort();
        Ok(all)
    }

    /// Takes a name away. The caller holds the exclusive lock.
    pub(super) fn forget(&self, reference: &Reference) -> Result<()> {
        match rustix::fs::unlinkat(&self.references, file_name(reference), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::call("unlinkat", format!("the name {reference}"), errno)),
        }
    }
}
