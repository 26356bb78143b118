//! Loading archives and directories: what `docker save`, `podman save`, `skopeo` and builders write.

mod archive;
mod directory;
mod docker;
mod layout;
mod members;
mod oci;

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;

use crate::compression::{BUFFER, Compression, decode, recognise};
use crate::digest::ImageId;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{Budget, Capped};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::{NewImage, Staged, Staging, Store};
use crate::tarball::Section;
use archive::Archive;
use directory::Directory;
use layout::Layout;
pub(crate) use members::Blob;
use members::Members;
use oci::Reader;

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
    /// Known are `docker save`'s format (with `manifest.json`), the OCI layout (`oci-layout` and `index.json`), and
    /// what Skopeo calls `dir` (`manifest.json` and `version`). An archive that is both of the first two is read by its
    /// `manifest.json`. Of an index the images for this machine are taken. Every digest and size on the way is
    /// verified; a layer that the store has already is not unpacked again, and its copy in the archive not looked at.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], [`ErrorKind::Mismatch`], [`ErrorKind::TooLarge`], [`ErrorKind::Unsupported`],
    /// [`ErrorKind::InvalidReference`], [`ErrorKind::Io`], [`ErrorKind::Busy`]. If the archive is at fault,
    /// the store is as before.
    pub fn load(&self, input: impl Read) -> Result<Vec<Loaded>> {
        self.load_stream(input, None)
    }

    /// As [`Store::load`], of an open file from where it stands, or of an open directory, which holds what an archive
    /// would. An uncompressed file is read in place, not copied.
    ///
    /// With a platform, of an index the images for that are taken, and no image for another machine. An archive of
    /// Docker's that has both a `manifest.json` and an OCI layout is then read by its `index.json`.
    ///
    /// # Errors
    /// As [`Store::load`].
    pub fn load_file(&self, mut file: File, platform: Option<&Platform>) -> Result<Vec<Loaded>> {
        let failed = |e| Error::new(ErrorKind::Io, "looking at the archive failed").because(e);
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            let members = Members::Directory(Directory::new(file.into()));
            return self.load_members(&Staging::new(self)?, &members, platform);
        }
        if !metadata.is_file() {
            return self.load_stream(file, platform);
        }
        let start = file.stream_position().map_err(failed)?;
        let size = metadata.len().saturating_sub(start);
        let file = Arc::new(file);
        let section = Section::new(Arc::clone(&file), start, size);
        match recognise(section.clone(), "the archive")?.0 {
            Compression::Plain => {
                let archive = Members::Archive(Archive::index(file, start, size)?);
                self.load_members(&Staging::new(self)?, &archive, platform)
            }
            Compression::Gzip | Compression::Zstd => self.load_stream(section, platform),
        }
    }

    /// Loads what can't be sought in: its members may be in any order, so it is copied first.
    fn load_stream(&self, input: impl Read, platform: Option<&Platform>) -> Result<Vec<Loaded>> {
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
        let archive = Members::Archive(Archive::index(Arc::new(file), 0, size)?);
        self.load_members(&staging, &archive, platform)
    }

    fn load_members(
        &self,
        staging: &Staging,
        members: &Members,
        platform: Option<&Platform>,
    ) -> Result<Vec<Loaded>> {
        let images = read(members, platform)?;
        let ids = self.add(staging, &images, Staged::new())?;
        let references = images.into_iter().map(|image| image.references);
        Ok(ids
            .into_iter()
            .zip(references)
            .map(|(id, references)| Loaded { id, references })
            .collect())
    }
}

/// Reads the images' documents, in whichever format they are.
fn read(members: &Members, platform: Option<&Platform>) -> Result<Vec<NewImage>> {
    if let Some(layout) = Layout::dir(members)? {
        return Ok(vec![Reader { layout, platform }.image()?]);
    }
    let (docker, oci) = (members.has("manifest.json"), members.has("index.json"));
    let images = if oci && (platform.is_some() || !docker) {
        Reader { layout: Layout::oci(members)?, platform }.images()?
    } else if docker {
        docker::read(members, platform)?
    } else {
        return Err(Error::malformed(format!(
            "{} has neither a manifest.json nor an index.json: it is no saved image",
            members.what()
        )));
    };
    match images.is_empty() {
        true => Err(Error::malformed(format!("{} has no image", members.what()))),
        false => Ok(images),
    }
}
