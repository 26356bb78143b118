//! A directory's members: files below it, and nothing else.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::members::Blob;
use crate::error::{Error, ErrorKind, Result, shown};
use crate::tarball::Section;

/// A directory that somebody else has written.
pub(super) struct Directory(Arc<OwnedFd>);

impl Directory {
    pub(super) fn new(directory: OwnedFd) -> Self {
        Self(Arc::new(directory))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        open(&self.0, name).is_ok()
    }

    pub(super) fn blob(&self, name: &str) -> Blob {
        Blob::File { directory: Arc::clone(&self.0), path: name.to_owned() }
    }
}

/// Opens a file below a directory. A symbolic link may lead to it, but not out of the directory.
pub(super) fn open(directory: &OwnedFd, path: &str) -> Result<Section> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    // What is no file must not make anybody wait.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let name = || shown(path.as_bytes());
    let file = match rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve) {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR) => {
            return Err(Error::malformed(format!("the directory lacks {}", name())));
        }
        Err(Errno::XDEV) => {
            return Err(Error::malformed(format!("{} leads out of the directory", name())));
        }
        Err(errno) => return Err(Error::call("openat2", name(), errno)),
    };
    let stat = rustix::fs::fstat(&file).map_err(|e| Error::call("fstat", name(), e))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Error::malformed(format!("{} in the directory is no file", name())));
    }
    let size = u64::try_from(stat.st_size).map_err(|e| {
        Error::new(ErrorKind::Io, format!("the size of {} is not known", name())).because(e)
    })?;
    Ok(Section::new(Arc::new(File::from(file)), 0, size))
}
