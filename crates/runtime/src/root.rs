//! The container's root filesystem, by descriptor: nothing in it is ever reached by a path of the host's.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use sandbar_sys::During;

use crate::error::{Error, Kind, Step};

/// The largest file of an image that is read at all (`/etc/passwd`, `/etc/group`), in bytes.
const LARGEST_FILE: u64 = 10 << 20;

/// How many links that lead nowhere are followed, as the kernel does.
const MOST_LINKS: usize = 40;

/// What came of making a path.
enum Made {
    /// It is there, or can't be.
    Done(Result<OwnedFd, Errno>),
    /// A link in it leads to this path, which is not there.
    Link(PathBuf),
}

/// A container's root directory.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

/// What a mount covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Covers {
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

/// Whether symbolic links in a path are followed (inside the root, always).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Links {
    /// As the container itself would.
    Follow,
    /// A link is an attack: the path is one of ours, such as `/proc`.
    Refuse,
}

impl Root {
    /// The root directory that `directory` refers to.
    pub(crate) fn at(directory: OwnedFd) -> Self {
        Self(directory)
    }

    /// This process's own root directory, once it is the container's.
    pub(crate) fn current() -> Result<Self, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            rustix::fs::open("/", flags, Mode::empty()).during("open", || "/".into())?;
        Ok(Self(directory))
    }

    /// Opens `path` inside the root (`openat2(2)` with `RESOLVE_IN_ROOT`).
    pub(crate) fn open(&self, path: &Path, flags: OFlags, links: Links) -> Result<OwnedFd, Errno> {
        let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        if links == Links::Refuse {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        // Only a raced rename makes it give up with EAGAIN; the next try sees a settled tree.
        for _ in 0..128 {
            let flags = flags | OFlags::CLOEXEC;
            match rustix::fs::openat2(&self.0, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                done => return done,
            }
        }
        Err(Errno::AGAIN)
    }

    /// What `path` refers to, for a mount to cover it; made (with its parents) if it is not there.
    pub(crate) fn mount_point(
        &self,
        path: &Path,
        covers: Covers,
        links: Links,
    ) -> Result<OwnedFd, Error> {
        let opened = match self.open(path, OFlags::PATH, links) {
            Err(Errno::NOENT) => self.make(path, covers, links),
            opened => opened,
        };
        let target = match opened {
            Err(Errno::LOOP) if links == Links::Refuse => {
                let message = format!("{}: the image has a symbolic link there", path.display());
                return Err(Error::new(Kind::Hostile, message));
            }
            opened => opened
                .during("openat2", || format!("{} in the root filesystem", path.display()))
                .step(|| format!("make the mount point {}", path.display()))?,
        };
        let is_directory = is_directory(target.as_fd())?;
        if is_directory == (covers == Covers::Directory) {
            return Ok(target);
        }
        let (there, mounted) =
            if is_directory { ("a directory", "a file") } else { ("a file", "a directory") };
        let message = format!(
            "mount on {}: it is {there} in the image, and what is mounted is {mounted}",
            path.display()
        );
        Err(Error::new(Kind::InvalidSpec, message))
    }

    /// Makes the directory `path` and its parents where they are not there, as the container itself would.
    pub(crate) fn make_directory(&self, path: &Path) -> Result<(), Errno> {
        match self.open(path, OFlags::PATH, Links::Follow) {
            Err(Errno::NOENT) => self.make(path, Covers::Directory, Links::Follow).map(drop),
            opened => opened.map(drop),
        }
    }

    /// Makes `path`, whose last component is missing, and its parents. A link that leads nowhere is followed,
    /// inside the root, and what it names is made.
    fn make(&self, path: &Path, covers: Covers, links: Links) -> Result<OwnedFd, Errno> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            match self.make_here(&path, covers, links) {
                Made::Done(made) => return made,
                Made::Link(to) => path = to,
            }
        }
        Err(Errno::LOOP)
    }

    fn make_here(&self, path: &Path, covers: Covers, links: Links) -> Made {
        let mut reached = PathBuf::from("/");
        match self.make_from(path, covers, links, &mut reached) {
            Err(Errno::EXIST) if links == Links::Follow => match self.link_at(&reached) {
                Some(target) => {
                    let rest = path.strip_prefix(&reached).unwrap_or(Path::new(""));
                    Made::Link(clean(
                        &reached.parent().unwrap_or(Path::new("/")).join(target).join(rest),
                    ))
                }
                None => Made::Done(Err(Errno::EXIST)),
            },
            made => Made::Done(made),
        }
    }

    /// What the link at `path` names.
    fn link_at(&self, path: &Path) -> Option<PathBuf> {
        let parent = self.open(path.parent()?, OFlags::PATH, Links::Follow).ok()?;
        let target = rustix::fs::readlinkat(&parent, path.file_name()?, Vec::new()).ok()?;
        Some(OsString::from_vec(target.into_bytes()).into())
    }

    fn make_from(
        &self,
        path: &Path,
        covers: Covers,
        links: Links,
        reached: &mut PathBuf,
    ) -> Result<OwnedFd, Errno> {
        let names: Vec<_> = path
            .components()
            .filter_map(|component| match component {
                Component::Normal(name) => Some(name),
                _ => None,
            })
            .collect();
        let mut parent = self.open(reached, OFlags::PATH, links)?;
        for (index, name) in names.iter().enumerate() {
            reached.push(name);
            parent = match self.open(reached, OFlags::PATH, links) {
                Err(Errno::NOENT) => {
                    let last = index + 1 == names.len();
                    if last && covers == Covers::File {
                        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                        let mode = Mode::from_raw_mode(0o644);
                        rustix::fs::openat(&parent, *name, flags, mode)?;
                    } else {
                        rustix::fs::mkdirat(&parent, *name, Mode::from_raw_mode(0o755))?;
                    }
                    self.open(reached, OFlags::PATH, links)?
                }
                opened => opened?,
            };
        }
        Ok(parent)
    }

    /// The text of a small regular file of the image; `None` if there is none. A FIFO, a device or a huge
    /// file is refused, unread.
    pub(crate) fn read(&self, path: &Path) -> Result<Option<String>, Error> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let refused = |why: &str| Error::new(Kind::Hostile, format!("{}: {why}", path.display()));
        let file = match self.open(path, OFlags::PATH, Links::Follow) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            opened => opened.during("openat2", || path.display().to_string())?,
        };
        // Looked at before it is opened for reading: opening a device can already do something.
        let stat = rustix::fs::fstat(&file).during("fstat", || path.display().to_string())?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(refused("it is not a regular file in the image"));
        }
        let file = self
            .open(path, flags, Links::Follow)
            .during("openat2", || path.display().to_string())?;
        let stat = rustix::fs::fstat(&file).during("fstat", || path.display().to_string())?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
            || u64::try_from(stat.st_size).unwrap_or(u64::MAX) > LARGEST_FILE
        {
            return Err(refused("it is larger than 10 MiB in the image"));
        }
        let mut bytes = Vec::new();
        std::fs::File::from(file)
            .take(LARGEST_FILE)
            .read_to_end(&mut bytes)
            .during("read", || path.display().to_string())?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A path without `.` and `..`.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// Whether an open file is a directory.
pub(crate) fn is_directory(file: BorrowedFd<'_>) -> Result<bool, Error> {
    let stat = rustix::fs::fstat(file).during("fstat", String::new)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
