//! The layers that are there: their sizes, their streams, and how they come to be there.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::stage::StagedLayer;
use super::{Staging, Store};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::recipe::{LayerStream, Moves, Parts};

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What a layer's file `size` says, a line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Bytes in the layer's files.
    pub(crate) files: u64,
    /// Bytes in its tar stream. Layers that were unpacked before there were recipes have none.
    pub(crate) stream: Option<u64>,
}

impl Store {
    /// The tar stream of a layer, uncompressed and byte for byte as it was when the layer came.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`]; [`ErrorKind::Unsupported`] for a layer that an older version unpacked, which kept no
    /// recipe; [`ErrorKind::Corrupt`]; [`ErrorKind::Io`]; [`ErrorKind::Busy`].
    pub fn layer_stream(&self, diff_id: &Digest) -> Result<LayerStream> {
        let missing =
            || Error::new(ErrorKind::NotFound, format!("there is no layer {diff_id} in the store"));
        let sizes = self.layer_sizes(diff_id)?.ok_or_else(missing)?;
        let Some(size) = sizes.stream else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "layer {diff_id} was unpacked by an older version, which kept no recipe to \
                     write it out again: pull or load its image again"
                ),
            ));
        };
        let layer = self.hold_layer(diff_id)?.ok_or_else(missing)?;
        let open = |name: &str| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            rustix::fs::openat(&layer, name, flags, Mode::empty()).map(File::from)
        };
        let damaged = |e: io::Error| {
            Error::new(ErrorKind::Corrupt, format!("the recipe of layer {diff_id} is damaged"))
                .because(e)
        };
        let moves = match open("kept/moves") {
            Ok(file) => Moves::read(file).map_err(damaged)?,
            Err(Errno::NOENT) => Moves::default(),
            Err(errno) => return Err(damaged(errno.into())),
        };
        let recipe = open("recipe").map_err(|e| damaged(e.into()))?;
        LayerStream::new(*diff_id, size, recipe, Parts { layer, moves }).map_err(damaged)
    }

    /// Whether a layer is there with all that is kept of one now.
    pub(crate) fn has_layer(&self, layer: &Digest) -> Result<bool> {
        Ok(self.layer_sizes(layer)?.is_some_and(|sizes| sizes.stream.is_some()))
    }

    /// The sizes of a layer, if it is in the store.
    pub(crate) fn layer_sizes(&self, layer: &Digest) -> Result<Option<Sizes>> {
        let Some(bytes) = self.read_whole(&self.layers, &format!("{}/size", layer.hex()))? else {
            return Ok(None);
        };
        let damaged =
            || Error::new(ErrorKind::Corrupt, format!("the size of layer {layer} is damaged"));
        let text = std::str::from_utf8(&bytes).map_err(|e| damaged().because(e))?;
        let mut lines =
            text.lines().map(|line| line.parse::<u64>().map_err(|e| damaged().because(e)));
        let files = lines.next().ok_or_else(damaged)??;
        let stream = lines.next().transpose()?;
        Ok(Some(Sizes { files, stream }))
    }

    /// Opens a layer so that, as long as it is open, no removal takes it, whether an image has it or not.
    pub(crate) fn hold_layer(&self, layer: &Digest) -> Result<Option<OwnedFd>> {
        let _lock = self.lock_shared()?;
        let hex = layer.hex();
        let fd = match rustix::fs::openat(&self.layers, &hex, DIRECTORY, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(Error::call("openat", format!("layers/{hex}"), errno)),
        };
        rustix::fs::flock(&fd, FlockOperation::NonBlockingLockShared)
            .map_err(|e| Error::call("flock", format!("layers/{hex}"), e))?;
        Ok(Some(fd))
    }

    /// As [`Store::hold_layer`], of a layer that is there with all that is kept of one now.
    pub(crate) fn hold_whole_layer(&self, layer: &Digest) -> Result<Option<OwnedFd>> {
        let Some(held) = self.hold_layer(layer)? else { return Ok(None) };
        Ok(self.has_layer(layer)?.then_some(held))
    }

    /// Renames an unpacked layer to where it belongs. The caller holds the store's shared lock, and syncs `layers`.
    pub(crate) fn place_layer(&self, staging: &Staging, layer: &StagedLayer) -> Result<()> {
        let hex = layer.diff_id.hex();
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(staging.fd(), &layer.directory, &self.layers, &hex, flags) {
            Ok(()) => Ok(()),
            // Someone else was first: theirs is the same, ours goes with the staging directory.
            Err(Errno::EXIST) if self.has_layer(&layer.diff_id)? => Ok(()),
            Err(Errno::EXIST) => self.add_recipe(staging, layer),
            Err(errno) => Err(Error::call("renameat2", format!("tmp, layers/{hex}"), errno)),
        }
    }

    /// Gives a layer of an older version what it lacks. Its files, which containers may run on, stay.
    fn add_recipe(&self, staging: &Staging, layer: &StagedLayer) -> Result<()> {
        let hex = layer.diff_id.hex();
        // The sizes last: they say that the rest is there.
        for part in ["kept", "recipe", "size"] {
            let (from, to) = (format!("{}/{part}", layer.directory), format!("{hex}/{part}"));
            match rustix::fs::renameat(staging.fd(), &from, &self.layers, &to) {
                Err(Errno::NOENT) if part == "kept" => {}
                // Somebody's who was killed here: it was made of the same stream, and is the same.
                Err(Errno::EXIST | Errno::NOTEMPTY) if part == "kept" => {}
                renamed => {
                    renamed.map_err(|e| Error::call("renameat", format!("layers/{to}"), e))?;
                }
            }
        }
        rustix::fs::openat(&self.layers, &hex, DIRECTORY, Mode::empty())
            .and_then(rustix::fs::fsync)
            .map_err(|e| Error::call("fsync", format!("layers/{hex}"), e))
    }
}

/// Whether somebody holds a layer that no image has: it is being pulled or written out.
pub(super) fn is_held(layers: &OwnedFd, name: &str) -> bool {
    rustix::fs::openat(layers, name, DIRECTORY, Mode::empty()).is_ok_and(|fd| {
        rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
    })
}
