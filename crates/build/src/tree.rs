//! Files that are read: a context's, an image's. Nothing in it leads out of it.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// A directory that is the root for all that is looked up in it.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
}

impl Tree {
    pub(crate) const fn new(root: OwnedFd) -> Self {
        Self { root }
    }

    /// That of a directory.
    pub(crate) fn at(path: &Path) -> rustix::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).map(Self::new)
    }

    /// Opens something; links are followed, but never out of the tree.
    pub(crate) fn open(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        open_in(self.root.as_fd(), path, flags, Mode::empty())
    }

    /// What is at a path, if something is; a link is followed.
    pub(crate) fn stat(&self, path: &[u8]) -> Result<Option<Stat>> {
        match self.open(path, OFlags::PATH).and_then(rustix::fs::fstat) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(errno) => Err(Error::call("openat2", shown(path), errno)),
        }
    }

    /// What is at a path; a link is not followed.
    pub(crate) fn stat_itself(&self, path: &[u8]) -> Result<Stat> {
        let (parent, name) = split(path);
        self.open(parent, OFlags::PATH)
            .and_then(|fd| rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW))
            .map_err(|errno| Error::call("newfstatat", shown(path), errno))
    }

    /// Where a link leads.
    pub(crate) fn target(&self, path: &[u8]) -> Result<Vec<u8>> {
        let (parent, name) = split(path);
        self.open(parent, OFlags::PATH)
            .and_then(|fd| rustix::fs::readlinkat(&fd, name, Vec::new()))
            .map(std::ffi::CString::into_bytes)
            .map_err(|errno| Error::call("readlinkat", shown(path), errno))
    }

    /// The names in a directory, in order.
    pub(crate) fn names(&self, path: &[u8]) -> Result<Vec<Vec<u8>>> {
        let failed = |errno| Error::call("getdents64", shown(path), errno);
        let fd = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a file to be read.
    pub(crate) fn file(&self, path: &[u8]) -> Result<File> {
        // It may have become something that is waited for when it is opened.
        self.open(path, OFlags::RDONLY | OFlags::NONBLOCK)
            .map(File::from)
            .map_err(|errno| Error::call("openat2", shown(path), errno))
    }

    /// The whole of a small file; `None` if there is none.
    pub(crate) fn read(&self, path: &[u8]) -> Result<Option<Vec<u8>>> {
        /// More than any of those that are read so has.
        const MOST: u64 = 16 << 20;
        if self.stat(path)?.is_none() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        self.file(path)?.take(MOST).read_to_end(&mut bytes).map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            Error::call("read", shown(path), errno)
        })?;
        Ok(Some(bytes))
    }
}

/// Opens `path` with `root` as the root directory.
pub(crate) fn open_in(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
) -> rustix::io::Result<OwnedFd> {
    // With EAGAIN the kernel says that something was renamed meanwhile, anywhere, and that trying again helps.
    const TRIES: usize = 128;
    let path = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..TRIES {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
    Err(Errno::AGAIN)
}

/// A path's directory and the name in it.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// A directory's path and a name in it.
pub(crate) fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match (directory, name) {
        (b"", name) => name.to_vec(),
        (directory, b"") => directory.to_vec(),
        (directory, name) => [directory, b"/", name].concat(),
    }
}

/// A path for people.
pub(crate) fn shown(path: &[u8]) -> String {
    format!("\"{}\"", path.escape_ascii())
}
