//! A few files become an image of one layer: how the engine keeps the images that are built into it.

use tar::{Builder, EntryType, Header};

use super::Settings;
use crate::digest::{Digest, ImageId};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Budget;
use crate::reference::Reference;
use crate::store::{EndMark, NewImage, NewLayer, Staged, Staging, Store};

/// A file of [`Store::put_files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// Where in the image, with or without a leading slash.
    pub path: &'a str,
    /// Permission bits.
    pub mode: u32,
    /// What is in it.
    pub contents: &'a [u8],
}

impl Store {
    /// Makes sure that `reference` names an image of just these files, all owned by root, with time 0.
    ///
    /// When it does already, nothing is written, and all it costs is hashing the files and reading two small ones.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for paths that an archive can't have; [`ErrorKind::Io`], [`ErrorKind::Busy`].
    pub fn put_files(
        &self,
        reference: &Reference,
        settings: &Settings,
        files: &[File<'_>],
    ) -> Result<ImageId> {
        reference.require_digest_of(&[])?;
        let archive = archive(files)?;
        let diff_id = Digest::of(&archive);
        let config = settings.configuration(diff_id, "sandbar")?;
        let id = ImageId(Digest::of(&config));
        if self.has(reference, &id)? {
            return Ok(id);
        }
        let staging = Staging::new(self)?;
        let what = format!("the files of {reference}");
        let budget = Budget::new(self.limits.unpacked_bytes);
        let staged = self.stage(&staging, &archive[..], EndMark::Required, &what, &budget)?;
        staged.sync(&staging, files.iter().map(|file| file.path.trim_start_matches('/')))?;
        let layers = vec![NewLayer { diff_id, blob: None, digest: None }];
        let references = vec![reference.clone()];
        let image = NewImage { config, manifest: None, layers, references };
        self.add(&staging, &[image], Staged::from([(diff_id, staged)])).and_then(only)
    }
}

/// The id of the one image that was added.
pub(super) fn only(ids: Vec<ImageId>) -> Result<ImageId> {
    ids.into_iter().next().ok_or_else(|| Error::new(ErrorKind::Corrupt, "no image was added"))
}

fn archive(files: &[File<'_>]) -> Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for file in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(file.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(file.contents.len() as u64);
        let path = file.path.trim_start_matches('/');
        builder.append_data(&mut header, path, file.contents).map_err(|e| {
            Error::malformed(format!("a file of an image can't be called {path:?}")).because(e)
        })?;
    }
    builder
        .into_inner()
        .map_err(|e| Error::new(ErrorKind::Io, "writing an archive failed").because(e))
}
