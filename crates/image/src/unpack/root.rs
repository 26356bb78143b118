//! The layer's root, and the one way to a directory in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::kept::Kept;
use super::name::split;
use super::whiteout;
use crate::error::{Error, Result, shown};
use crate::recipe::PATH;

/// What files are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Contents,
    /// Their size alone: a hole.
    Outline,
}

/// An open layer root. Nothing in it is reached but through [`Root::directory`].
pub(crate) struct Root {
    fd: OwnedFd,
    /// The directory used last, by the path that led to it: most entries follow others of the same directory.
    last: Option<(Vec<u8>, Arc<Directory>)>,
    kept: Kept,
    pub(super) fill: Fill,
}

/// An open directory of the layer, and where it is: a path from the root with no symbolic link on the way.
pub(crate) struct Directory {
    fd: OwnedFd,
    path: Vec<u8>,
}

impl Directory {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Where in the layer `name` of this directory is.
    pub(crate) fn path_of(&self, name: &[u8]) -> Result<Vec<u8>> {
        let path = match self.path.is_empty() {
            true => name.to_vec(),
            false => [&self.path, &b"/"[..], name].concat(),
        };
        match path.len() <= PATH {
            true => Ok(path),
            false => Err(Error::malformed(format!("the path {} is too long", shown(&path)))),
        }
    }
}

/// What stood where something new was to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    /// Something of this layer, now gone.
    Entry,
    /// A whiteout of this layer, now gone: what replaces it must go on hiding what lies below.
    Whiteout,
}

impl Root {
    /// Takes the layer's empty root, and the directory that is to have the contents of what the layer replaces.
    pub(crate) fn new(fd: OwnedFd, layer: OwnedFd, fill: Fill) -> Self {
        Self { fd, last: None, kept: Kept::new(layer), fill }
    }

    /// Says that a file's contents come next in the stream; see [`Kept`].
    pub(crate) fn count_contents(&mut self) {
        self.kept.count_contents();
    }

    /// Writes down what was kept.
    pub(crate) fn finish(&self) -> Result<()> {
        self.kept.finish()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The directory at `path`, made with all above it when it is missing.
    pub(crate) fn directory(&mut self, path: &[u8]) -> Result<Arc<Directory>> {
        if let Some((known, directory)) = &self.last
            && known == path
        {
            return Ok(Arc::clone(directory));
        }
        let directory = Arc::new(self.open_or_make(path)?);
        self.last = Some((path.to_vec(), Arc::clone(&directory)));
        Ok(directory)
    }

    /// The directory at `path` when it is there, for what is only looked up.
    pub(crate) fn existing(&self, path: &[u8]) -> Result<OwnedFd> {
        self.open(path, OFlags::PATH).map_err(|errno| no_directory(path, errno))
    }

    /// Opens the directory at `path` itself (not through a link as the last component).
    pub(crate) fn open_itself(&self, path: &[u8]) -> rustix::io::Result<OwnedFd> {
        self.open(path, OFlags::RDONLY | OFlags::NOFOLLOW)
    }

    /// Opens a directory that is open by path alone so that its attributes can be set.
    pub(crate) fn reopen(&self, directory: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(directory, ".", flags, Mode::empty())
            .map_err(|e| Error::call("openat", shown(path), e))
    }

    /// Makes something at `name` in `parent`, in the place of whatever this layer put there before.
    pub(crate) fn make<T>(
        &mut self,
        parent: &Directory,
        name: &[u8],
        call: &str,
        mut make: impl FnMut() -> rustix::io::Result<T>,
    ) -> Result<(T, Before)> {
        let mut before = Before::Nothing;
        let made = match make() {
            Err(Errno::EXIST) => {
                before = self.clear(parent, name)?;
                make()
            }
            made => made,
        };
        Ok((made.map_err(|e| Error::call(call, shown(name), e))?, before))
    }

    fn clear(&mut self, parent: &Directory, name: &[u8]) -> Result<Before> {
        // The directory used last may be the one that goes, or be reached through it.
        self.last = None;
        let Some(found) = stat(parent.fd(), name)? else { return Ok(Before::Nothing) };
        if whiteout::is_whiteout(&found) {
            rustix::fs::unlinkat(parent.fd(), name, AtFlags::empty())
                .map_err(|e| Error::call("unlinkat", shown(name), e))?;
            return Ok(Before::Whiteout);
        }
        self.kept.take(parent, name, &found)?;
        Ok(Before::Entry)
    }

    fn open(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        self.open_with(path, flags, ResolveFlags::IN_ROOT)
    }

    fn open_with(
        &self,
        path: &[u8],
        flags: OFlags,
        resolve: ResolveFlags,
    ) -> rustix::io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        // With EAGAIN the kernel says that something was renamed meanwhile, anywhere, and that trying again helps.
        const TRIES: usize = 128;
        for _ in 0..TRIES {
            let opened = rustix::fs::openat2(
                &self.fd,
                path,
                flags | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
                resolve | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV,
            );
            match opened {
                Err(Errno::AGAIN | Errno::INTR) => {}
                opened => return opened,
            }
        }
        Err(Errno::AGAIN)
    }

    /// Opens a directory by its path alone, and finds out where it really is.
    fn locate(&self, path: &[u8]) -> rustix::io::Result<Directory> {
        let straight = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        match self.open_with(path, OFlags::PATH, straight) {
            Ok(fd) => return Ok(Directory { fd, path: path.to_vec() }),
            Err(Errno::LOOP) => {}
            Err(errno) => return Err(errno),
        }
        let fd = self.open(path, OFlags::PATH)?;
        let (root, real) = (real_path(self.fd())?, real_path(fd.as_fd())?);
        let below = real.strip_prefix(&root[..]).ok_or(Errno::XDEV)?;
        let path = below.strip_prefix(b"/").unwrap_or(below).to_vec();
        Ok(Directory { fd, path })
    }

    /// Walks up to the nearest directory that is there, then makes those below it: in a loop, as a path may have
    /// two thousand components.
    fn open_or_make(&mut self, path: &[u8]) -> Result<Directory> {
        let mut missing = Vec::new();
        let mut rest = path;
        let mut directory = loop {
            match (self.locate(rest), split(rest)) {
                (Ok(directory), _) => break directory,
                (Err(Errno::NOENT | Errno::NOTDIR), Some((parent, name))) => {
                    missing.push(name);
                    rest = parent;
                }
                (Err(errno), _) => return Err(no_directory(path, errno)),
            }
        };
        while let Some(name) = missing.pop() {
            directory = self.make_directory(&directory, name)?;
        }
        Ok(directory)
    }

    fn make_directory(&mut self, above: &Directory, name: &[u8]) -> Result<Directory> {
        let parent = above.fd();
        let call = |call: &str, errno| Error::call(call, shown(name), errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut before = Before::Nothing;
        if let Some(found) = stat(parent, name)? {
            if !whiteout::is_whiteout(&found) {
                // A file, or a link to nowhere: a path can't go on below it.
                return Err(no_directory(name, Errno::NOTDIR));
            }
            before = self.clear(above, name)?;
        }
        rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))
            .map_err(|e| call("mkdirat", e))?;
        let fd = rustix::fs::openat(parent, name, flags, Mode::empty())
            .map_err(|e| call("openat", e))?;
        // Neither the process's umask nor a parent's set-group-ID bit decides what an image looks like.
        rustix::fs::fchown(&fd, Some(rustix::fs::Uid::ROOT), Some(rustix::fs::Gid::ROOT))
            .map_err(|e| call("fchown", e))?;
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o755)).map_err(|e| call("fchmod", e))?;
        if before == Before::Whiteout {
            whiteout::make_opaque(fd.as_fd(), name)?;
        }
        Ok(Directory { fd, path: above.path_of(name)? })
    }
}

/// Where an open directory is, by the kernel's word.
fn real_path(fd: BorrowedFd<'_>) -> rustix::io::Result<Vec<u8>> {
    use std::os::fd::AsRawFd;
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::readlink(link, Vec::new()).map(std::ffi::CString::into_bytes)
}

/// What is at `name` in `parent`, links not followed.
pub(crate) fn stat(parent: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Stat>> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::call("newfstatat", shown(name), errno)),
    }
}

pub(crate) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn no_directory(path: &[u8], errno: Errno) -> Error {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::XDEV => {
            let path = shown(path);
            Error::malformed(format!("an entry's directory {path} is none in its layer"))
                .because(std::io::Error::from(errno))
        }
        Errno::NOSYS => {
            Error::call("openat2", "needs Linux 5.6; without it no layer is unpacked", errno)
        }
        errno => Error::call("openat2", shown(path), errno),
    }
}
