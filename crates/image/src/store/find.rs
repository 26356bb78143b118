//! Finding an image by name or id.

use std::os::fd::AsFd;

use oci_spec::image::ImageConfiguration;
use rustix::fs::Dir;

use super::Store;
use super::lock::Lock;
use super::record::{decode, unless_damaged};
use crate::digest::{Digest, ImageId};
use crate::error::{Error, ErrorKind, Result, shown};
use crate::image::{Image, created};
use crate::reference::Reference;

/// The fewest digits that may stand for an id.
const SHORTEST_PREFIX: usize = 3;

/// What a name was found to mean.
pub(super) type Found = (ImageId, Option<Reference>);

impl Store {
    /// Finds an image by its name, its id, or the beginning of its id (three digits or more).
    ///
    /// A short name is tried as `localhost/NAME` first, then at `docker.io`. A name comes before an id. The name
    /// with a digest finds the image of that manifest (or id) if it also has a name in that repository. A full name or
    /// `localhost/NAME` costs three small files; no directory is read for it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Ambiguous`], [`ErrorKind::InvalidReference`];
    /// [`ErrorKind::Busy`] while a removal takes unreasonably long.
    pub fn find(&self, name: &str) -> Result<Image> {
        let lock = self.lock_shared()?;
        let (id, reference) = self.resolve(name)?;
        self.read_image(id, reference, lock)
    }

    /// Whether `reference` names the image `id`, and that is there.
    pub(crate) fn has(&self, reference: &Reference, id: &ImageId) -> Result<bool> {
        let _lock = self.lock_shared()?;
        let named = unless_damaged(self.target(reference))? == Some(*id);
        Ok(named && unless_damaged(self.record(id))?.is_some())
    }

    /// What `name` means. The caller holds a lock.
    pub(super) fn resolve(&self, name: &str) -> Result<Found> {
        let hex = name.strip_prefix("sha256:").unwrap_or(name);
        let may_be_id = hex.len() >= SHORTEST_PREFIX
            && hex.len() <= 64
            && hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if may_be_id && (hex.len() == 64 || hex.len() != name.len()) {
            return self.by_prefix(hex)?.ok_or_else(|| not_found(name));
        }
        for reference in Reference::candidates(name)? {
            if let Some(found) = self.by_reference(&reference)? {
                return Ok(found);
            }
        }
        match may_be_id {
            true => self.by_prefix(hex)?,
            false => None,
        }
        .ok_or_else(|| not_found(name))
    }

    fn by_reference(&self, reference: &Reference) -> Result<Option<Found>> {
        if let Some(id) = self.target(reference)? {
            return Ok(Some((id, Some(reference.clone()))));
        }
        let Some(digest) = reference.digest() else { return Ok(None) };
        let id = self.described_by(&digest)?.unwrap_or(ImageId(digest));
        let same = |known: &Reference| {
            known.registry() == reference.registry()
                && known.repository() == reference.repository()
                && reference.tag().is_none_or(|tag| known.tag() == Some(tag))
        };
        Ok(self.references(&id)?.into_iter().find(same).map(|known| (id, Some(known))))
    }

    /// The image that a manifest or an index led to.
    pub(super) fn described_by(&self, manifest: &Digest) -> Result<Option<ImageId>> {
        let name = manifest.hex();
        let bytes = self.read_whole(&self.manifests, &name)?;
        bytes.map(|bytes| decode(&bytes, || format!("manifests/{name}"))).transpose()
    }

    fn by_prefix(&self, hex: &str) -> Result<Option<Found>> {
        if let Some(digest) = Digest::from_hex(hex) {
            let id = ImageId(digest);
            return Ok(self.record(&id)?.map(|_| (id, None)));
        }
        let ids = self.ids()?;
        let mut fitting = ids.iter().filter(|id| id.0.hex().starts_with(hex));
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Ok(Some((*one, None))),
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(Error::new(
                ErrorKind::Ambiguous,
                format!("several images have an id that begins with {hex}"),
            )),
        }
    }

    fn read_image(&self, id: ImageId, reference: Option<Reference>, lock: Lock) -> Result<Image> {
        let Some(record) = self.record(&id)? else {
            let name = reference.map_or_else(|| id.to_string(), |name| name.to_string());
            return Err(not_found(&name));
        };
        let config = self.config(&id)?;
        let mut layers = Vec::with_capacity(record.layers.len());
        for layer in record.layers.iter().rev() {
            // overlayfs takes no directory twice. What a lower one of two equal layers has, the upper one hides.
            let path = self.path.join("layers").join(layer.hex()).join("diff");
            if !layers.contains(&path) {
                layers.push(path);
            }
        }
        let created = created(&config);
        Ok(Image { id, reference, config, layers, size: record.size, created, _lock: lock })
    }

    /// An image's configuration as it came.
    pub(crate) fn configuration_bytes(&self, id: &ImageId) -> Result<Vec<u8>> {
        self.read_whole(&self.blobs, &id.0.hex())?.ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, format!("the configuration of image {id} is missing"))
        })
    }

    pub(super) fn config(&self, id: &ImageId) -> Result<ImageConfiguration> {
        let bytes = self.configuration_bytes(id)?;
        decode(&bytes, || format!("the configuration of image {id}"))
    }

    /// The ids of all images, in order. Nothing of them is read.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn ids(&self) -> Result<Vec<ImageId>> {
        let names = self.names(&self.images)?;
        let mut ids: Vec<_> =
            names.iter().filter_map(|name| Digest::from_hex(name)).map(ImageId).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// The names in one of the store's directories.
    pub(crate) fn names(&self, directory: impl AsFd) -> Result<Vec<String>> {
        let failed = |e| Error::call("getdents64", self.path.display(), e);
        let mut names = Vec::new();
        for entry in Dir::read_from(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if let Ok(name) = entry.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }
}

fn not_found(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no image {}", shown(name.as_bytes())))
}
