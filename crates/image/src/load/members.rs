//! What a saved image consists of: named members, in an archive or in a directory.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::archive::Archive;
use super::directory::Directory;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::DOCUMENT;
use crate::tarball::Section;

/// Members by name, wherever they are.
pub(super) enum Members {
    Archive(Archive),
    Directory(Directory),
}

/// A member's contents, which need not be open as long as nobody reads them: there may be more than a process may
/// have files open.
#[derive(Debug)]
pub(crate) enum Blob {
    /// A stretch of an archive, which is open.
    Stretch(Section),
    /// A file below a directory.
    File { directory: Arc<OwnedFd>, path: String },
}

impl Members {
    /// What they are members of, for messages.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Archive(_) => "the archive",
            Self::Directory(_) => "the directory",
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Archive(archive) => archive.has(name),
            Self::Directory(directory) => directory.has(name),
        }
    }

    pub(super) fn blob(&self, name: &str) -> Result<Blob> {
        match self {
            Self::Archive(archive) => archive.member(name).map(Blob::Stretch),
            Self::Directory(directory) => Ok(directory.blob(name)),
        }
    }

    /// A member's contents whole, if they are no more than 4 MiB.
    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>> {
        let mut section = self.blob(name)?.open()?;
        if section.size() > DOCUMENT {
            let message = format!("{name} has {} bytes; {DOCUMENT} are allowed", section.size());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let mut bytes = Vec::new();
        section.read_to_end(&mut bytes).map_err(|e| Error::reading(name, e))?;
        Ok(bytes)
    }
}

impl Blob {
    /// The contents, to be read.
    pub(crate) fn open(&self) -> Result<Section> {
        match self {
            Self::Stretch(section) => Ok(section.clone()),
            Self::File { directory, path } => super::directory::open(directory, path),
        }
    }
}
