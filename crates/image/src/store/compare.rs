//! Whether a layer's files are, but for their contents, what the layer's stream makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::error::{Error, ErrorKind, Result, shown};
use crate::unpack::{is_whiteout, keeps};

/// The longest value of an extended attribute, and the longest list of their names (`XATTR_SIZE_MAX`).
const LONGEST: usize = 64 << 10;

/// Fails, with [`ErrorKind::Corrupt`], at the first thing in the layer that is not as in `made`: the same layer, just
/// unpacked in `staging`.
///
/// Times of directories are not compared, for those that no entry of the layer tells of have that of their making.
pub(super) fn compare(staging: BorrowedFd<'_>, made: &str, layer: BorrowedFd<'_>) -> Result<()> {
    let made = directory(staging, format!("{made}/diff").as_bytes())
        .map_err(|e| Error::call("openat2", "diff", e))?;
    let layer = directory(layer, b"diff").map_err(|e| lost(b"diff", e))?;
    let both = Pair { made, found: layer };
    both.attributes(b"/")?;
    let mut paths = vec![Vec::new()];
    // By path, one directory open at a time: a layer may be deeper than a process has descriptors.
    while let Some(path) = paths.pop() {
        let inner = Pair {
            made: directory(both.made.as_fd(), &path)
                .map_err(|e| Error::call("openat2", shown(&path), e))?,
            found: directory(both.found.as_fd(), &path).map_err(|e| lost(&path, e))?,
        };
        for name in inner.names(&path)? {
            let path = below(&path, &name);
            if inner.same(&name, &path)? == FileType::Directory {
                paths.push(path);
            }
        }
    }
    Ok(())
}

/// A directory as it should be, and as it is.
struct Pair {
    made: OwnedFd,
    found: OwnedFd,
}

impl Pair {
    /// The names in it, which are the same in both.
    fn names(&self, path: &[u8]) -> Result<BTreeSet<Vec<u8>>> {
        let made = names(&self.made).map_err(|e| Error::call("getdents64", shown(path), e))?;
        let found = names(&self.found).map_err(|e| lost(path, e))?;
        if let Some(name) = made.difference(&found).next() {
            return Err(wrong(&below(path, name), "it is missing"));
        }
        if let Some(name) = found.difference(&made).next() {
            return Err(wrong(&below(path, name), "it is no part of the layer"));
        }
        Ok(made)
    }

    /// Compares what is called `name` in both, but for contents; gives its type.
    fn same(&self, name: &[u8], path: &[u8]) -> Result<FileType> {
        let stat = |at: &OwnedFd| rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW);
        let made = stat(&self.made).map_err(|e| Error::call("newfstatat", shown(path), e))?;
        let found = stat(&self.found).map_err(|e| lost(path, e))?;
        let kind = FileType::from_raw_mode(made.st_mode);
        differ(&made, &found, kind).map_or(Ok(()), |why| Err(wrong(path, &why)))?;
        match kind {
            FileType::Symlink => {
                let link = |at: &OwnedFd| rustix::fs::readlinkat(at, name, Vec::new());
                let made =
                    link(&self.made).map_err(|e| Error::call("readlinkat", shown(path), e))?;
                if link(&self.found).map_err(|e| lost(path, e))? != made {
                    return Err(wrong(path, "it leads elsewhere"));
                }
            }
            FileType::RegularFile | FileType::Directory => {
                let open = |at: &OwnedFd| {
                    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                    rustix::fs::openat(at, name, flags, Mode::empty())
                };
                let made = open(&self.made).map_err(|e| Error::call("openat", shown(path), e))?;
                let found = open(&self.found).map_err(|e| lost(path, e))?;
                Self { made, found }.attributes(path)?;
            }
            // Nothing else has any.
            _ => {}
        }
        Ok(kind)
    }

    /// Compares owner, mode and extended attributes.
    fn attributes(&self, path: &[u8]) -> Result<()> {
        let failed = |call: &'static str| move |e| Error::call(call, shown(path), e);
        let made = rustix::fs::fstat(&self.made).map_err(failed("fstat"))?;
        let found = rustix::fs::fstat(&self.found).map_err(failed("fstat"))?;
        differ(&made, &found, FileType::Directory).map_or(Ok(()), |why| Err(wrong(path, &why)))?;
        let made = xattrs(&self.made).map_err(failed("fgetxattr"))?;
        let found = xattrs(&self.found).map_err(|e| lost(path, e))?;
        let all: BTreeSet<_> = made.keys().chain(found.keys()).collect();
        match all.into_iter().find(|name| made.get(*name) != found.get(*name)) {
            Some(name) => Err(wrong(path, &format!("its attribute {name} was changed"))),
            None => Ok(()),
        }
    }
}

/// What is different, in words.
fn differ(made: &Stat, found: &Stat, kind: FileType) -> Option<String> {
    if FileType::from_raw_mode(found.st_mode) != FileType::from_raw_mode(made.st_mode) {
        return Some("it is of another type".to_owned());
    }
    if (found.st_uid, found.st_gid) != (made.st_uid, made.st_gid) {
        let (uid, gid) = (found.st_uid, found.st_gid);
        return Some(format!("its owner is {uid}:{gid}, not {}:{}", made.st_uid, made.st_gid));
    }
    if found.st_mode != made.st_mode {
        let mode = |stat: &Stat| stat.st_mode & 0o7777;
        return Some(format!("its mode is {:o}, not {:o}", mode(found), mode(made)));
    }
    if kind == FileType::Directory {
        return None;
    }
    if found.st_rdev != made.st_rdev {
        return Some("it is another device".to_owned());
    }
    if found.st_size != made.st_size {
        return Some(format!("its size is {}, not {}", found.st_size, made.st_size));
    }
    if found.st_nlink != made.st_nlink {
        return Some(format!("it has {} names, not {}", found.st_nlink, made.st_nlink));
    }
    let time = |stat: &Stat| (stat.st_mtime, stat.st_mtime_nsec);
    // No entry tells of a whiteout's time.
    (time(found) != time(made) && !is_whiteout(made))
        .then(|| "its time of modification was changed".to_owned())
}

/// A path that is no longer than the layer's own: it may be as long as can be.
fn below(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}

fn directory(at: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(at, path, flags, Mode::empty(), resolve)
}

fn names(directory: &OwnedFd) -> rustix::io::Result<BTreeSet<Vec<u8>>> {
    let mut names = BTreeSet::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.insert(name.to_vec());
        }
    }
    Ok(names)
}

/// The extended attributes that are the layer's, those with which overlayfs is steered included.
fn xattrs(fd: &OwnedFd) -> rustix::io::Result<BTreeMap<String, Vec<u8>>> {
    let mut all = BTreeMap::new();
    // Nearly all files have none or few, and need little room for them.
    let mut list = vec![0; 256];
    let length = match rustix::fs::flistxattr(fd, &mut list) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(all),
        Err(Errno::RANGE) => {
            list = vec![0; LONGEST];
            rustix::fs::flistxattr(fd, &mut list)?
        }
        length => length?,
    };
    for name in list[..length].split(|byte| *byte == 0) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if name.is_empty() || matches!(keeps(name), Ok(false)) {
            continue;
        }
        let mut value = vec![0; LONGEST];
        let length = rustix::fs::fgetxattr(fd, name, &mut value)?;
        value.truncate(length);
        all.insert(name.to_owned(), value);
    }
    Ok(all)
}

fn wrong(path: &[u8], why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{}: {why}", shown(path)))
}

fn lost(path: &[u8], errno: Errno) -> Error {
    wrong(path, "it can't be read").because(std::io::Error::from(errno))
}
