//! Saving images: archives and directories that other tools load, the same bytes for the same images.
//!
//! Layers are saved as they are known, uncompressed. So nothing is written twice, all sizes are known before the first
//! byte, and an archive can go into a pipe; who wants it smaller compresses it whole.

mod directory;
mod docker;
mod images;
mod layout;
mod sink;
mod tar;

use std::io::Write;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::store::Store;
use directory::Directory;
use tar::Tar;

/// What images are saved as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveFormat {
    /// An archive as of `docker save`: `manifest.json`, and configurations and layers by name.
    DockerArchive,
    /// An archive of an
    /// [OCI image layout](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md).
    OciArchive,
    /// The same, as a directory.
    OciDirectory,
    /// The manifest and the blobs of one image as files, with Docker's media types: what containers-transports(5) has
    /// as `dir:`.
    DockerDirectory,
}

impl SaveFormat {
    /// Whether it is a directory, and not one stream.
    #[must_use]
    pub const fn is_directory(self) -> bool {
        matches!(self, Self::OciDirectory | Self::DockerDirectory)
    }
}

impl Store {
    /// Writes the images called `images` (by name or id) as one archive, with the names that they are called by. An OCI
    /// image layout can also have manifest lists, whose images must all be here.
    ///
    /// If it fails, what was written has no end, and no tool takes it for whole.
    ///
    /// # Errors
    /// As [`Store::find`]; [`ErrorKind::Unsupported`] if `format` is no archive, or a layer was unpacked by a version that kept
    /// no recipe; [`ErrorKind::Corrupt`] if a layer's files were changed; [`ErrorKind::Io`].
    pub fn save(&self, images: &[&str], format: SaveFormat, out: &mut dyn Write) -> Result<()> {
        let mut tar = Tar::new(out);
        match format {
            SaveFormat::DockerArchive => docker::save(self, &self.to_save(images)?, &mut tar)?,
            SaveFormat::OciArchive => layout::save(self, images, &mut tar)?,
            SaveFormat::OciDirectory | SaveFormat::DockerDirectory => {
                let message = "this format is a directory, and can't be written as one stream";
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        }
        tar.finish()
    }

    /// Writes the images called `images` into `directory`, which is there and empty.
    ///
    /// # Errors
    /// As [`Store::save`]; [`ErrorKind::Unsupported`] also for several images where the format has one.
    pub fn save_to_directory(
        &self,
        images: &[&str],
        format: SaveFormat,
        directory: &Path,
    ) -> Result<()> {
        let mut files = Directory::new(directory);
        match format {
            SaveFormat::OciDirectory => layout::save(self, images, &mut files)?,
            SaveFormat::DockerDirectory => {
                let images = self.to_save(images)?;
                let [image] = &images[..] else {
                    let message =
                        format!("a directory of this format has one image, not {}", images.len());
                    return Err(Error::new(ErrorKind::Unsupported, message));
                };
                docker::save_directory(self, image, &mut files)?;
            }
            SaveFormat::DockerArchive | SaveFormat::OciArchive => {
                let message = "this format is one stream, and can't be written as a directory";
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        }
        files.finish()
    }
}
