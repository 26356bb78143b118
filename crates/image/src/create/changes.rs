//! What overlayfs wrote above an image's layers, on its way to be a layer of its own.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat};

use crate::error::{Error, ErrorKind, Result, shown};

/// An overlay's upper directory: files and directories as they are now, whiteouts (a character device 0:0) and opaque
/// directories as [overlayfs](https://docs.kernel.org/filesystems/overlayfs.html) has them.
///
/// Whoever writes in it meanwhile is to be stopped first: else the layer is as torn as what was read.
#[derive(Debug)]
pub struct Changes {
    directory: OwnedFd,
    newest: Option<Timestamp>,
    stubs: BTreeSet<Vec<u8>>,
}

impl Changes {
    /// What was written to the directory `upper`.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if it can't be opened.
    pub fn of(upper: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(upper, flags, Mode::empty())
            .map_err(|e| Error::call("open", upper.display(), e))?;
        Ok(Self { directory, newest: None, stubs: BTreeSet::new() })
    }

    /// With no time in the layer later than this
    /// ([`SOURCE_DATE_EPOCH`](https://reproducible-builds.org/specs/source-date-epoch/)).
    #[must_use]
    pub fn no_newer_than(mut self, newest: Option<Timestamp>) -> Self {
        self.newest = newest;
        self
    }

    /// Without these, if they are empty files or directories: the places where something was mounted, made for that
    /// alone. Paths as in the image.
    #[must_use]
    pub fn without_empty<'a>(mut self, stubs: impl IntoIterator<Item = &'a Path>) -> Self {
        use std::os::unix::ffi::OsStrExt as _;
        let relative = |path: &Path| {
            let bytes = path.as_os_str().as_bytes();
            bytes.trim_ascii_start().strip_prefix(b"/").unwrap_or(bytes).to_vec()
        };
        self.stubs = stubs.into_iter().map(relative).collect();
        self
    }

    /// Whether nothing was changed.
    ///
    /// # Errors
    /// [`ErrorKind::Io`].
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.names(b"")?.is_empty())
    }

    /// A time as the layer has it, in whole seconds since 1970.
    pub(super) fn seconds(&self, stat: &Stat) -> u64 {
        let newest = self.newest.map_or(i64::MAX, Timestamp::as_second);
        u64::try_from(stat.st_mtime.min(newest)).unwrap_or(0)
    }

    /// Opens something below the directory; a symbolic link nowhere on the way.
    pub(super) fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        rustix::fs::openat2(&self.directory, path, flags, Mode::empty(), resolve)
            .map_err(|e| Error::call("openat2", shown(path), e))
    }

    /// What is at `path`, links not followed.
    pub(super) fn stat(&self, path: &[u8]) -> Result<Stat> {
        // Links themselves can be opened by their path alone, but only where none is refused as the last component.
        let (parent, name) = crate::unpack::split(path).unwrap_or((b"", b"."));
        let parent = self.open(parent, OFlags::PATH | OFlags::DIRECTORY)?;
        rustix::fs::statat(&parent, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| Error::call("newfstatat", shown(path), e))
    }

    /// The names in a directory that are in the layer, in order.
    pub(super) fn names(&self, directory: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut names = self.all_names(directory)?;
        if !self.stubs.is_empty() {
            let mut kept = Vec::with_capacity(names.len());
            for name in names {
                if !self.is_stub(&joined(directory, &name))? {
                    kept.push(name);
                }
            }
            names = kept;
        }
        names.sort_unstable();
        Ok(names)
    }

    fn all_names(&self, directory: &[u8]) -> Result<Vec<Vec<u8>>> {
        let failed = |e| Error::call("getdents64", shown(directory), e);
        let fd = self.open(directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(&fd).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Whether it is a mount's place and nothing else.
    fn is_stub(&self, path: &[u8]) -> Result<bool> {
        if !self.stubs.contains(path) {
            return Ok(false);
        }
        let stat = self.stat(path)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => stat.st_size == 0,
            FileType::Directory => self.names(path)?.is_empty(),
            _ => false,
        })
    }
}

/// A directory's path and a name in it.
pub(super) fn joined(directory: &[u8], name: &[u8]) -> Vec<u8> {
    match directory.is_empty() {
        true => name.to_vec(),
        false => [directory, b"/", name].concat(),
    }
}

/// Something that no layer can have.
pub(super) fn unsupported(path: &[u8], why: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{} {why}", shown(path)))
}
