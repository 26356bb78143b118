//! What an entry of a layer replaces by another of the same layer: gone from the layer, but not from its stream.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use super::root::Directory;
use crate::error::{Error, ErrorKind, Result, shown};
use crate::recipe::MovesBuilder;

/// Moves aside what has contents, and counts them so that a recipe's reader can tell which of them are meant.
pub(crate) struct Kept {
    layer: OwnedFd,
    /// `kept`, made when there is first something for it.
    directory: Option<OwnedFd>,
    moves: MovesBuilder,
    contents: u64,
}

impl Kept {
    pub(crate) fn new(layer: OwnedFd) -> Self {
        Self { layer, directory: None, moves: MovesBuilder::default(), contents: 0 }
    }

    pub(crate) fn count_contents(&mut self) {
        self.contents += 1;
    }

    /// Takes `name`, which `found` tells of, out of `parent`.
    pub(crate) fn take(&mut self, parent: &Directory, name: &[u8], found: &Stat) -> Result<()> {
        let flags = match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile if found.st_size > 0 => return self.keep(parent, name),
            FileType::Directory => AtFlags::REMOVEDIR,
            _ => AtFlags::empty(),
        };
        match rustix::fs::unlinkat(parent.fd(), name, flags) {
            Ok(()) => Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => self.keep(parent, name),
            Err(errno) => Err(Error::call("unlinkat", shown(name), errno)),
        }
    }

    fn keep(&mut self, parent: &Directory, name: &[u8]) -> Result<()> {
        let n = self.moves.push(self.contents, parent.path_of(name)?)?.to_string();
        let directory = match self.directory.take() {
            Some(directory) => directory,
            None => self.make()?,
        };
        let flags = RenameFlags::NOREPLACE;
        rustix::fs::renameat_with(parent.fd(), name, &directory, n.as_str(), flags)
            .map_err(|e| Error::call("renameat2", format!("{}, kept/{n}", shown(name)), e))?;
        self.directory = Some(directory);
        Ok(())
    }

    fn make(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::mkdirat(&self.layer, "kept", Mode::RWXU)
            .and_then(|()| rustix::fs::openat(&self.layer, "kept", flags, Mode::empty()))
            .map_err(|e| Error::call("mkdirat", "kept", e))
    }

    /// Writes down where things went, if any did.
    pub(crate) fn finish(&self) -> Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(directory, "moves", flags, Mode::RUSR | Mode::WUSR)
            .map_err(|e| Error::call("openat", "kept/moves", e))?;
        self.moves.write(fd.into()).map_err(|e| {
            Error::new(ErrorKind::Io, "writing what a layer replaced failed").because(e)
        })
    }
}
