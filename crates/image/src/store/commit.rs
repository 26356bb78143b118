//! Adding images: layers are unpacked aside, then everything appears in the order in which it is needed.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

use super::record::{Record, encode};
use super::{Staging, Store};
use crate::compression::{BUFFER, Compression, decode, drain, recognise};
use crate::digest::{Digest, ImageId};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{Capped, Hashed};
use crate::reference::Reference;
use crate::tarball::{Section, TarReader};
use crate::unpack::unpack;

/// An image whose parts were all found and read, but for the layers' contents.
pub(crate) struct NewImage {
    /// The configuration as it came: its bytes are its digest.
    pub(crate) config: Vec<u8>,
    /// The manifest as it came, if there was one.
    pub(crate) manifest: Option<Vec<u8>>,
    /// Bottom layer first.
    pub(crate) layers: Vec<NewLayer>,
    pub(crate) references: Vec<Reference>,
}

/// Where a layer's archive is, and what it must turn out to be.
pub(crate) struct NewLayer {
    /// The digest of the uncompressed stream.
    pub(crate) diff_id: Digest,
    /// The stream, compressed or not. Layers that are being made from nothing else are staged already.
    pub(crate) blob: Option<Section>,
    /// The digest of the blob, if something promised one.
    pub(crate) digest: Option<Digest>,
    /// How the blob is compressed, if something said so.
    pub(crate) compression: Option<Compression>,
}

/// A layer that was unpacked aside.
pub(crate) struct StagedLayer {
    pub(crate) diff_id: Digest,
    directory: String,
}

impl StagedLayer {
    /// Syncs the files at `paths` and the layer's own: cheaper than a whole file system when they are few.
    pub(crate) fn sync<'a>(
        &self,
        staging: &Staging,
        paths: impl Iterator<Item = &'a str>,
    ) -> Result<()> {
        let paths = paths.map(|path| format!("{}/diff/{path}", self.directory));
        let own = ["size", "diff", "."].map(|path| format!("{}/{path}", self.directory));
        for path in paths.chain(own) {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            rustix::fs::openat2(staging.fd(), &path, flags, Mode::empty(), resolve)
                .and_then(rustix::fs::fsync)
                .map_err(|e| Error::call("fsync", path, e))?;
        }
        Ok(())
    }
}

/// Layers that wait to be put in their place, by the digest of their uncompressed stream.
pub(crate) type Staged = BTreeMap<Digest, StagedLayer>;

impl Store {
    /// Adds images: unpacks the layers that are missing, then makes all visible.
    pub(crate) fn add(
        &self,
        staging: &Staging,
        images: &[NewImage],
        mut staged: Staged,
    ) -> Result<Vec<ImageId>> {
        let mut budget = self.limits.unpacked_bytes;
        loop {
            let before = staged.len();
            for layer in images.iter().flat_map(|image| &image.layers) {
                if staged.contains_key(&layer.diff_id) || self.layer_size(&layer.diff_id)?.is_some()
                {
                    continue;
                }
                let unpacked = self.stage_blob(staging, layer, &mut budget)?;
                staged.insert(layer.diff_id, unpacked);
            }
            if staged.len() > before {
                // One call for all files of all layers. What follows may then survive power loss in any order.
                rustix::fs::syncfs(staging.fd()).map_err(|e| Error::call("syncfs", "tmp", e))?;
            }
            let _lock = self.lock_shared()?;
            if self.all_here(images, &staged)? {
                self.place(staging, &staged)?;
                return images.iter().map(|image| self.publish(staging, image)).collect();
            }
            // A layer that was there was removed meanwhile: it has to be unpacked after all.
        }
    }

    /// Unpacks an uncompressed stream aside, whatever digest it will have.
    pub(crate) fn stage(
        &self,
        staging: &Staging,
        stream: impl Read,
        end: EndMark,
        what: &str,
        budget: &mut u64,
    ) -> Result<StagedLayer> {
        let directory = staging.unique("layer");
        let top = staging.directory(&directory)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let diff = rustix::fs::mkdirat(&top, "diff", Mode::RWXU)
            .and_then(|()| rustix::fs::openat(&top, "diff", flags, Mode::empty()))
            .map_err(|e| Error::call("mkdirat", format!("tmp/{directory}/diff"), e))?;
        let mut hashed = Hashed::new(Capped::new(stream, *budget));
        let mut tar = TarReader::new(BufReader::with_capacity(BUFFER, &mut hashed), what);
        let size = unpack(diff, &mut tar, self.limits.entries)?;
        if end == EndMark::Required {
            tar.require_end_mark()?;
        }
        drain(tar.into_input(), what)?;
        let (diff_id, bytes) = hashed.finish();
        *budget = budget.saturating_sub(bytes);
        let size_file = format!("{directory}/size");
        std::io::Write::write_all(&mut staging.file(&size_file)?, size.to_string().as_bytes())
            .map_err(|e| Error::new(ErrorKind::Io, "writing a layer's size failed").because(e))?;
        Ok(StagedLayer { diff_id, directory })
    }

    /// Unpacks a layer's blob aside, and checks all that was promised about it.
    fn stage_blob(
        &self,
        staging: &Staging,
        layer: &NewLayer,
        budget: &mut u64,
    ) -> Result<StagedLayer> {
        let what = format!("layer {}", layer.diff_id);
        let Some(blob) = &layer.blob else {
            return Err(Error::new(ErrorKind::NotFound, format!("{what} was removed meanwhile")));
        };
        let (compression, _) = recognise(blob.clone(), &what)?;
        if layer.compression.is_some_and(|said| said != compression) {
            let message = format!("{what} is not compressed as its media type says");
            return Err(Error::new(ErrorKind::Mismatch, message));
        }
        let unpacked = if compression == Compression::Plain || layer.digest.is_none() {
            let input = BufReader::with_capacity(BUFFER, blob.clone());
            let plain = decode(compression, input);
            self.stage(staging, plain, EndMark::Optional, &what, budget)?
        } else {
            let mut hashed = Hashed::new(blob.clone());
            let mut input = BufReader::with_capacity(BUFFER, &mut hashed);
            let plain = decode(compression, &mut input);
            let unpacked = self.stage(staging, plain, EndMark::Optional, &what, budget)?;
            drain(input, &what)?;
            check(&what, layer.digest, hashed.finish().0)?;
            unpacked
        };
        if compression == Compression::Plain {
            check(&what, layer.digest, unpacked.diff_id)?;
        }
        check(&what, Some(layer.diff_id), unpacked.diff_id)?;
        Ok(unpacked)
    }

    /// Bytes in the files of a layer, if it is in the store.
    fn layer_size(&self, layer: &Digest) -> Result<Option<u64>> {
        let Some(bytes) = self.read_whole(&self.layers, &format!("{}/size", layer.hex()))? else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok());
        let damaged =
            || Error::new(ErrorKind::Corrupt, format!("the size of layer {layer} is damaged"));
        size.ok_or_else(damaged).map(Some)
    }

    fn all_here(&self, images: &[NewImage], staged: &Staged) -> Result<bool> {
        for layer in images.iter().flat_map(|image| &image.layers) {
            if !staged.contains_key(&layer.diff_id) && self.layer_size(&layer.diff_id)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Renames unpacked layers to where they belong. The caller holds the shared lock.
    fn place(&self, staging: &Staging, staged: &Staged) -> Result<()> {
        for (diff_id, layer) in staged {
            let flags = RenameFlags::NOREPLACE;
            let hex = diff_id.hex();
            match rustix::fs::renameat_with(
                staging.fd(),
                &layer.directory,
                &self.layers,
                &hex,
                flags,
            ) {
                // Someone else was first: theirs is the same, ours goes with the staging directory.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => {
                    return Err(Error::call("renameat2", format!("tmp, layers/{hex}"), errno));
                }
            }
        }
        if staged.is_empty() {
            return Ok(());
        }
        rustix::fs::fsync(self.layers.as_fd()).map_err(|e| Error::call("fsync", "layers", e))
    }

    /// Writes an image's blobs, its record, and then its names. The caller holds the shared lock.
    fn publish(&self, staging: &Staging, image: &NewImage) -> Result<ImageId> {
        let id = ImageId(Digest::of(&image.config));
        self.write_blob(staging, id.0, &image.config)?;
        if self.record(&id)?.is_none() {
            let layers: Vec<_> = image.layers.iter().map(|layer| layer.diff_id).collect();
            let mut size = 0_u64;
            for layer in &layers {
                size = size.saturating_add(self.layer_size(layer)?.unwrap_or(0));
            }
            let record = encode(&Record { layers, size })?;
            self.write_whole(staging, &self.images, &id.0.hex(), &record)?;
        }
        if let Some(manifest) = &image.manifest {
            let digest = Digest::of(manifest);
            self.write_blob(staging, digest, manifest)?;
            if self.read_whole(&self.manifests, &digest.hex())?.is_none() {
                self.write_whole(staging, &self.manifests, &digest.hex(), &encode(&id)?)?;
            }
        }
        for reference in &image.references {
            self.point(staging, reference, &id)?;
        }
        Ok(id)
    }

    fn write_blob(&self, staging: &Staging, digest: Digest, bytes: &[u8]) -> Result<()> {
        let name = digest.hex();
        match self.read_whole(&self.blobs, &name)? {
            Some(known) if known == bytes => Ok(()),
            _ => self.write_whole(staging, &self.blobs, &name, bytes),
        }
    }
}

/// Whether an archive must end with the mark of its end. Where a digest covers the stream it need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndMark {
    Required,
    Optional,
}

/// Fails unless content is what was promised.
pub(crate) fn check(what: &str, promised: Option<Digest>, found: Digest) -> Result<()> {
    match promised {
        Some(promised) if promised != found => Err(Error::new(
            ErrorKind::Mismatch,
            format!("{what} should have the digest {promised}, and has {found}"),
        )),
        _ => Ok(()),
    }
}
