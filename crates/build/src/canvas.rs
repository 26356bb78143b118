//! Files that are written: those of a stage so far, and above them a layer on its way. Nothing in it leads out of it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid,
};
use rustix::io::Errno;

use crate::attributes;
use crate::error::{Error, Kind, Result};
use crate::tree::{Tree, open_in, shown, split};

/// A directory that is the root for all that is written in it.
#[derive(Debug)]
pub(crate) struct Canvas {
    root: OwnedFd,
    upper: PathBuf,
    /// The directory used last, by the path that led to it: most files follow others of the same directory.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
    /// What a later file in it would change: set when all is there.
    times: Vec<(Vec<u8>, Timespec)>,
}

/// What something is to have.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) mtime: Timespec,
    pub(crate) extended: Vec<(String, Vec<u8>)>,
}

/// What something is to be.
pub(crate) enum Content<'a> {
    Directory,
    File(&'a mut dyn Read),
    /// What is in a file, which the kernel copies where it can (`copy_file_range(2)`).
    Copy(&'a mut File),
    Symlink(&'a [u8]),
    /// Another name of the file at this path.
    Link(&'a [u8]),
    /// A device or a FIFO.
    Special(FileType, u64),
}

impl Canvas {
    /// The files below `root`; what is written is then in the directory `upper`.
    pub(crate) const fn new(root: OwnedFd, upper: PathBuf) -> Self {
        Self { root, upper, last: None, times: Vec::new() }
    }

    /// An empty directory.
    pub(crate) fn plain(directory: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(directory, flags, Mode::empty())
            .map_err(|errno| Error::call("open", directory.display(), errno))?;
        Ok(Self::new(root, directory.to_owned()))
    }

    /// The same files, to be read.
    pub(crate) fn tree(&self) -> Result<Tree> {
        let root = self.root.try_clone().map_err(|error| {
            Error::call("dup", "a root", Errno::from_io_error(&error).unwrap_or(Errno::IO))
        })?;
        Ok(Tree::new(root))
    }

    /// Sets the times that were put off, and gives the directory in which all is that was written.
    pub(crate) fn finish(mut self) -> Result<PathBuf> {
        self.last = None;
        for (path, mtime) in self.times.iter().rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            match self.open(path, flags) {
                Ok(fd) => rustix::fs::futimens(&fd, &times(*mtime))
                    .map_err(|errno| Error::call("futimens", shown(path), errno))?,
                // It became something else since.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(errno) => return Err(Error::call("openat2", shown(path), errno)),
            }
        }
        Ok(self.upper)
    }

    fn open(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        open_in(self.root.as_fd(), path, flags, Mode::empty())
    }

    /// The directory at `path`, made with all above it where it is missing, for `owner`.
    pub(crate) fn directory(&mut self, path: &[u8], owner: (u32, u32)) -> Result<Rc<OwnedFd>> {
        if let Some((known, fd)) = &self.last
            && known == path
        {
            return Ok(Rc::clone(fd));
        }
        let fd = Rc::new(self.open_or_make(path, owner)?);
        self.last = Some((path.to_vec(), Rc::clone(&fd)));
        Ok(fd)
    }

    /// Walks up to the nearest directory that is there, then makes those below it: in a loop, as a path may have two
    /// thousand components.
    fn open_or_make(&self, path: &[u8], owner: (u32, u32)) -> Result<OwnedFd> {
        let (mut missing, mut rest) = (Vec::new(), path);
        let mut directory = loop {
            match self.open(rest, OFlags::RDONLY | OFlags::DIRECTORY) {
                Ok(fd) => break fd,
                Err(Errno::NOENT) if !rest.is_empty() => {
                    let (parent, name) = split(rest);
                    missing.push(name);
                    rest = parent;
                }
                Err(Errno::NOTDIR) => return Err(in_the_way(rest, "is no directory")),
                Err(errno) => return Err(Error::call("openat2", shown(rest), errno)),
            }
        };
        while let Some(name) = missing.pop() {
            match rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755)) {
                Err(Errno::EXIST) => return Err(in_the_way(path, "leads through a broken link")),
                made => made.map_err(|errno| Error::call("mkdirat", shown(path), errno))?,
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            directory = rustix::fs::openat(&directory, name, flags, Mode::empty())
                .map_err(|errno| Error::call("openat", shown(path), errno))?;
            // Neither the umask nor a parent's set-group-ID bit decides what an image looks like.
            own(directory.as_fd(), owner, 0o755, path)?;
        }
        Ok(directory)
    }

    /// Puts something at `path`, in the place of what is there; its directory is made where it is missing. A
    /// directory that is there stays, with what is in it, and gets the attributes.
    pub(crate) fn put(&mut self, path: &[u8], content: Content<'_>, to: &Attributes) -> Result<()> {
        let (above, name) = split(path);
        let parent = self.directory(above, (0, 0))?;
        let parent = parent.as_fd();
        let failed = |call, errno| Error::call(call, shown(path), errno);
        if let Content::Directory = content {
            return self.put_directory(parent, path, to);
        }
        self.clear(parent, path)?;
        match content {
            Content::File(from) => {
                return put_file(parent, path, to, |file| io::copy(from, file));
            }
            Content::Copy(from) => {
                return put_file(parent, path, to, |file| io::copy(from, file));
            }
            Content::Link(target) => {
                let (directory, target_name) = split(target);
                let there = self
                    .open(directory, OFlags::PATH | OFlags::DIRECTORY)
                    .map_err(|errno| failed("openat2", errno))?;
                return rustix::fs::linkat(&there, target_name, parent, name, AtFlags::empty())
                    .map_err(|errno| failed("linkat", errno));
            }
            Content::Symlink(target) => rustix::fs::symlinkat(target, parent, name)
                .map_err(|errno| failed("symlinkat", errno))?,
            Content::Special(kind, device) => {
                let mode = Mode::from_raw_mode(to.mode & 0o7777);
                rustix::fs::mknodat(parent, name, kind, mode, device)
                    .and_then(|()| rustix::fs::chmodat(parent, name, mode, AtFlags::empty()))
                    .map_err(|errno| failed("mknodat", errno))?;
            }
            Content::Directory => {}
        }
        let (uid, gid) = (Some(Uid::from_raw(to.owner.0)), Some(Gid::from_raw(to.owner.1)));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(parent, name, uid, gid, flags)
            .map_err(|errno| failed("fchownat", errno))?;
        rustix::fs::utimensat(parent, name, &times(to.mtime), flags)
            .map_err(|errno| failed("utimensat", errno))
    }

    fn put_directory(
        &mut self,
        parent: BorrowedFd<'_>,
        path: &[u8],
        to: &Attributes,
    ) -> Result<()> {
        let name = split(path).1;
        match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700)) {
            Ok(()) => {}
            Err(Errno::EXIST) if is_directory(lstat(parent, path)?.as_ref()) => {}
            Err(Errno::EXIST) => {
                return Err(in_the_way(path, "is no directory, and a directory is to be there"));
            }
            Err(errno) => return Err(Error::call("mkdirat", shown(path), errno)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent, name, flags, Mode::empty())
            .map_err(|errno| Error::call("openat", shown(path), errno))?;
        own(fd.as_fd(), to.owner, to.mode, path)?;
        attributes::set(&fd, &to.extended)?;
        self.times.push((path.to_vec(), to.mtime));
        Ok(())
    }

    /// Removes what is in the place of something that is no directory.
    fn clear(&mut self, parent: BorrowedFd<'_>, path: &[u8]) -> Result<()> {
        let Some(found) = lstat(parent, path)? else { return Ok(()) };
        if is_directory(Some(&found)) {
            return Err(in_the_way(path, "is a directory, and a file is to be there"));
        }
        // The directory used last may have been reached through a link that goes.
        if FileType::from_raw_mode(found.st_mode) == FileType::Symlink {
            self.last = None;
        }
        rustix::fs::unlinkat(parent, split(path).1, AtFlags::empty())
            .map_err(|errno| Error::call("unlinkat", shown(path), errno))
    }

    /// Whether a directory is at `path`, or a link leads to one.
    pub(crate) fn has_directory(&self, path: &[u8]) -> bool {
        self.open(path, OFlags::PATH | OFlags::DIRECTORY).is_ok()
    }
}

/// Makes a file, where nothing is, that `fill` fills.
fn put_file(
    parent: BorrowedFd<'_>,
    path: &[u8],
    to: &Attributes,
    fill: impl FnOnce(&mut File) -> io::Result<u64>,
) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(parent, split(path).1, flags, Mode::from_raw_mode(0o600))
        .map_err(|errno| Error::call("openat", shown(path), errno))?;
    let mut file = File::from(fd);
    fill(&mut file).map_err(|error| {
        let message = format!("{} can't be written", shown(path));
        Error::new(Kind::System, message).because(error)
    })?;
    own(file.as_fd(), to.owner, to.mode, path)?;
    attributes::set(&file, &to.extended)?;
    rustix::fs::futimens(&file, &times(to.mtime))
        .map_err(|errno| Error::call("futimens", shown(path), errno))
}

/// Gives something that is open its owner, then its mode, which a new owner would take bits from.
fn own(fd: BorrowedFd<'_>, (uid, gid): (u32, u32), mode: u32, path: &[u8]) -> Result<()> {
    rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
        .and_then(|()| rustix::fs::fchmod(fd, Mode::from_raw_mode(mode & 0o7777)))
        .map_err(|errno| Error::call("fchown", shown(path), errno))
}

fn lstat(parent: BorrowedFd<'_>, path: &[u8]) -> Result<Option<Stat>> {
    match rustix::fs::statat(parent, split(path).1, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::call("newfstatat", shown(path), errno)),
    }
}

fn is_directory(stat: Option<&Stat>) -> bool {
    stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn times(mtime: Timespec) -> Timestamps {
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    Timestamps { last_access, last_modification: mtime }
}

fn in_the_way(path: &[u8], why: &str) -> Error {
    let path = String::from_utf8_lossy(path);
    Error::new(Kind::Failed, format!("'/{path}' of the image {why}"))
}
