//! Opening a store: its directories.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::staging::{self, Staging};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::Limits;

/// A directory of images. Open one as often as you like, from as many processes.
#[derive(Debug)]
pub struct Store {
    pub(super) path: PathBuf,
    pub(super) root: OwnedFd,
    pub(crate) blobs: OwnedFd,
    pub(crate) layers: OwnedFd,
    pub(super) images: OwnedFd,
    pub(crate) manifests: OwnedFd,
    pub(super) references: OwnedFd,
    pub(super) lists: OwnedFd,
    pub(super) places: OwnedFd,
    pub(super) tmp: OwnedFd,
    pub(crate) partial: OwnedFd,
    pub(crate) limits: Limits,
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Store {
    /// Opens the store in the directory `root`, made when missing, and clears what killed processes left there.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when a directory can't be made or opened.
    pub fn open(root: &Path) -> Result<Self> {
        Self::open_with(root, Limits::default())
    }

    /// As [`Store::open`], with limits of your own to what is loaded and imported.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(root: &Path, limits: Limits) -> Result<Self> {
        let path = std::path::absolute(root).map_err(|e| {
            let message = format!("the store's path {} is not usable", root.display());
            Error::new(ErrorKind::Io, message).because(e)
        })?;
        let root = match rustix::fs::open(&path, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => make_root(&path),
            opened => opened,
        }
        .map_err(|e| Error::call("open", path.display(), e))?;
        let directory = |name: &str| {
            open_or_make(&root, name)
                .map_err(|e| Error::call("openat", path.join(name).display(), e))
        };
        let blobs = match rustix::fs::openat(&root, "blobs/sha256", DIRECTORY, Mode::empty()) {
            Ok(fd) => fd,
            Err(_) => directory("blobs").and_then(|_| directory("blobs/sha256"))?,
        };
        let (layers, images) = (directory("layers")?, directory("images")?);
        let (manifests, references) = (directory("manifests")?, directory("references")?);
        let (lists, places) = (directory("lists")?, directory("places")?);
        let (tmp, partial) = (directory("tmp")?, directory("partial")?);
        staging::sweep(&tmp)?;
        Ok(Self {
            path,
            root,
            blobs,
            layers,
            images,
            manifests,
            references,
            lists,
            places,
            tmp,
            partial,
            limits,
        })
    }

    /// Where the store is, as an absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces the file `name` of `directory` whole, so that it survives power loss.
    pub(super) fn write_whole(
        &self,
        staging: &Staging,
        directory: &OwnedFd,
        name: &str,
        bytes: &[u8],
    ) -> Result<()> {
        let failed = |call: &str, errno| {
            Error::call(call, format!("{name} in {}", self.path.display()), errno)
        };
        let mut file = staging.file(name)?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(|e| Error::new(ErrorKind::Io, format!("writing {name} failed")).because(e))?;
        rustix::fs::renameat(staging.fd(), name, directory, name)
            .map_err(|e| failed("renameat", e))?;
        rustix::fs::fsync(directory).map_err(|e| failed("fsync", e))
    }

    /// Reads the file `name` of `directory`; `None` if there is none.
    pub(crate) fn read_whole(&self, directory: &OwnedFd, name: &str) -> Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => {
                let what = format!("{name} in {}", self.path.display());
                return Err(Error::call("openat", what, errno));
            }
        };
        // Nearly all that is read here fits, and is then read with two calls.
        let mut bytes = Vec::with_capacity(8 << 10);
        File::from(fd).take(crate::limits::DOCUMENT).read_to_end(&mut bytes).map_err(|e| {
            Error::new(ErrorKind::Io, format!("reading {name} in {} failed", self.path.display()))
                .because(e)
        })?;
        Ok(Some(bytes))
    }
}

fn make_root(path: &Path) -> rustix::io::Result<OwnedFd> {
    if let Some(parent) = path.parent() {
        // What is above the store belongs to its owner, who sees to its mode.
        std::fs::create_dir_all(parent)
            .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    }
    open_or_make(rustix::fs::CWD, path)
}

fn open_or_make(
    at: impl std::os::fd::AsFd,
    name: impl rustix::path::Arg + Copy,
) -> rustix::io::Result<OwnedFd> {
    match rustix::fs::openat(&at, name, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => {}
        opened => return opened,
    }
    match rustix::fs::mkdirat(&at, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    rustix::fs::openat(&at, name, DIRECTORY, Mode::empty())
}
