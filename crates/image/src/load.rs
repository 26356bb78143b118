//! Loading archives: what `docker save`, `podman save`, `skopeo` and builders write.

mod archive;
mod docker;
mod oci;

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;

use crate::compression::{BUFFER, Compression, decode, recognise};
use crate::digest::ImageId;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{Budget, Capped};
use crate::reference::Reference;
use crate::store::{NewImage, Staged, Staging, Store};
use crate::tarball::Section;
use archive::Archive;

/// One image that an archive held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The digest of the configuration.
    pub id: ImageId,
    /// The names that the archive gave it, which are its names now. There may be none.
    pub references: Vec<Reference>,
}

impl Store {
    /// Loads all images of an archive, from a file or a pipe, plain or compressed (gzip, zstd).
    ///
    /// Known are `docker save`'s format (with `manifest.json`) and the OCI layout (`oci-layout` and `index.json`).
    /// An archive that is both is read by its `manifest.json`. Of an index the images for Linux on this machine's
    /// architecture are taken. Every digest and size on the way is verified; a layer that the store has
    /// already is not unpacked again, and its copy in the archive not looked at.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], [`ErrorKind::Mismatch`], [`ErrorKind::TooLarge`], [`ErrorKind::Unsupported`],
    /// [`ErrorKind::InvalidReference`], [`ErrorKind::Io`], [`ErrorKind::Busy`]. If the archive is at fault,
    /// the store is as before.
    pub fn load(&self, input: impl Read) -> Result<Vec<Loaded>> {
        let staging = Staging::new(self)?;
        let (compression, input) = recognise(input, "the archive")?;
        let budget = Budget::new(self.limits.unpacked_bytes);
        let mut plain = Capped::new(decode(compression, input), &budget);
        let mut file = staging.file("archive")?;
        // `io::copy` with its small buffer would double the number of system calls.
        let mut buffer = vec![0; BUFFER];
        let mut size = 0;
        loop {
            let read = match plain.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::reading("the archive", e)),
            };
            std::io::Write::write_all(&mut file, &buffer[..read]).map_err(|e| {
                Error::new(ErrorKind::Io, "writing the archive to the store failed").because(e)
            })?;
            size += read as u64;
        }
        self.load_section(&staging, Arc::new(file), 0, size)
    }

    /// As [`Store::load`], of an open file from where it stands. An uncompressed one is read in place, not copied.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn load_file(&self, mut file: File) -> Result<Vec<Loaded>> {
        let failed = |e| Error::new(ErrorKind::Io, "looking at the archive failed").because(e);
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return self.load(file);
        }
        let start = file.stream_position().map_err(failed)?;
        let size = metadata.len().saturating_sub(start);
        let file = Arc::new(file);
        let section = Section::new(Arc::clone(&file), start, size);
        match recognise(section.clone(), "the archive")?.0 {
            Compression::Plain => {
                let staging = Staging::new(self)?;
                self.load_section(&staging, file, start, size)
            }
            Compression::Gzip | Compression::Zstd => self.load(section),
        }
    }

    fn load_section(
        &self,
        staging: &Staging,
        file: Arc<File>,
        start: u64,
        size: u64,
    ) -> Result<Vec<Loaded>> {
        let archive = Archive::index(file, start, size)?;
        let images = read(&archive)?;
        let ids = self.add(staging, &images, Staged::new())?;
        let references = images.into_iter().map(|image| image.references);
        Ok(ids
            .into_iter()
            .zip(references)
            .map(|(id, references)| Loaded { id, references })
            .collect())
    }
}

fn read(archive: &Archive) -> Result<Vec<NewImage>> {
    let images = if archive.has("manifest.json") {
        docker::read(archive)?
    } else if archive.has("index.json") {
        oci::read(archive)?
    } else {
        return Err(Error::malformed(
            "the archive has neither a manifest.json nor an index.json: it is no saved image",
        ));
    };
    match images.is_empty() {
        true => Err(Error::malformed("the archive has no image")),
        false => Ok(images),
    }
}
