//! Copying what an image has in a place into the tmpfs that covers it (`tmpcopyup`).

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;
use sandbar_sys::{During, Failure};

/// No image has a tree as deep; a recursion must end somewhere.
const DEEPEST: usize = 256;

/// Copies directories, files and links from `from` to `to`, with owners and modes. Both are walked by
/// descriptor and no link is followed; devices, FIFOs and sockets are left behind.
pub(crate) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Failure> {
    let from = open(from, c".", OFlags::RDONLY | OFlags::DIRECTORY)?;
    let to = open(to, c".", OFlags::RDONLY | OFlags::DIRECTORY)?;
    copy_directory(&from, &to, DEEPEST)?;
    let stat = rustix::fs::fstat(&from).during("fstat", String::new)?;
    finish(&to, &stat)
}

fn copy_directory(from: &OwnedFd, to: &OwnedFd, depth: usize) -> Result<(), Failure> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Failure::new("openat", "a directory this deep".into(), Errno::LOOP));
    };
    let entries = Dir::read_from(from).during("getdents64", || "the image's directory".into())?;
    for entry in entries {
        let entry = entry.during("getdents64", || "the image's directory".into())?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy_entry(from, to, name, depth)?;
        }
    }
    Ok(())
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &CStr, depth: usize) -> Result<(), Failure> {
    let words = || name.to_string_lossy().into_owned();
    let stat =
        rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).during("fstatat", words)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, Mode::RWXU).during("mkdirat", words)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let (inner, made) = (open(from.as_fd(), name, flags)?, open(to.as_fd(), name, flags)?);
            copy_directory(&inner, &made, depth)?;
            finish(&made, &stat)
        }
        FileType::RegularFile => {
            let source = open(from.as_fd(), name, OFlags::RDONLY | OFlags::NONBLOCK)?;
            let stat = rustix::fs::fstat(&source).during("fstat", words)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                return Err(Failure::new("openat", words(), Errno::STALE));
            }
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let made = rustix::fs::openat(to, name, flags | OFlags::CLOEXEC, Mode::RUSR)
                .during("openat", words)?;
            let mut source = std::fs::File::from(source);
            let mut made = std::fs::File::from(made);
            std::io::copy(&mut source, &mut made).during("copy", words)?;
            finish(&made.into(), &stat)
        }
        FileType::Symlink => {
            let target =
                rustix::fs::readlinkat(from, name, Vec::new()).during("readlinkat", words)?;
            rustix::fs::symlinkat(target, to, name).during("symlinkat", words)?;
            let (uid, gid) = owner(&stat);
            rustix::fs::chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .during("fchownat", words)
        }
        _ => Ok(()),
    }
}

/// Owner first: changing it takes a set-user-ID bit away.
fn finish(made: &OwnedFd, stat: &Stat) -> Result<(), Failure> {
    let (uid, gid) = owner(stat);
    rustix::fs::fchown(made, uid, gid).during("fchown", || format!("{uid:?} {gid:?}"))?;
    rustix::fs::fchmod(made, Mode::from_raw_mode(stat.st_mode & 0o7777))
        .during("fchmod", || format!("{:o}", stat.st_mode))
}

fn owner(stat: &Stat) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
}

fn open(directory: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> Result<OwnedFd, Failure> {
    rustix::fs::openat(directory, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        .during("openat", || name.to_string_lossy().into_owned())
}
