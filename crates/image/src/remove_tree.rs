//! Removing a hostile directory tree: by file descriptor, following nothing, however deep it is.
//!
//! The standard library's function keeps one descriptor a level; an archive can make more levels than a process
//! may have descriptors.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, Result};
use rustix::path::Arg;

/// Levels that are open at once; what is deeper is first moved up.
const LEVELS: usize = 32;

struct Level {
    name: CString,
    fd: OwnedFd,
    entries: Dir,
}

impl Level {
    fn open(parent: BorrowedFd<'_>, name: CString) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent, &name, flags, Mode::empty())?;
        let entries = Dir::read_from(&fd)?;
        Ok(Self { name, fd, entries })
    }
}

/// Removes `name` in `parent` and all below it. It is no error if there is no such thing.
pub(crate) fn remove_tree(parent: BorrowedFd<'_>, name: impl Arg) -> Result<()> {
    let name = name.into_c_str()?.into_owned();
    match rustix::fs::unlinkat(parent, &name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(errno) => return Err(errno),
    }
    let mut levels = vec![Level::open(parent, name)?];
    let mut moved = 0;
    while let Some(level) = levels.last_mut() {
        match level.entries.next() {
            Some(entry) => {
                let name = entry?.file_name().to_owned();
                if matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                match rustix::fs::unlinkat(&level.fd, &name, AtFlags::empty()) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(Errno::ISDIR) => descend(&mut levels, name, &mut moved)?,
                    Err(errno) => return Err(errno),
                }
            }
            None => ascend(&mut levels, parent)?,
        }
    }
    Ok(())
}

/// Goes on with the directory `name`, or moves it to the top when enough levels are open.
fn descend(levels: &mut Vec<Level>, name: CString, moved: &mut u64) -> Result<()> {
    let (Some(top), Some(last)) = (levels.first(), levels.last()) else { return Ok(()) };
    if levels.len() < LEVELS {
        let level = Level::open(last.fd.as_fd(), name)?;
        levels.push(level);
        return Ok(());
    }
    loop {
        *moved += 1;
        let target = format!("deep-{moved}");
        match rustix::fs::renameat_with(&last.fd, &name, &top.fd, &target, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            renamed => return renamed,
        }
    }
}

/// Removes the level that has been emptied; begins it again when something was moved there meanwhile.
fn ascend(levels: &mut Vec<Level>, parent: BorrowedFd<'_>) -> Result<()> {
    let Some(done) = levels.pop() else { return Ok(()) };
    let above = levels.last().map_or(parent, |level| level.fd.as_fd());
    match remove_directory(above, &done.name) {
        Err(Errno::NOTEMPTY) => {
            let again = Level::open(above, done.name)?;
            levels.push(again);
            Ok(())
        }
        removed => removed,
    }
}

fn remove_directory(parent: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_deeper_than_a_process_has_descriptors_goes() {
        let place = tempfile::tempdir().unwrap();
        let outside = place.path().join("outside");
        std::fs::write(&outside, "kept").unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let top = rustix::fs::open(place.path(), flags, Mode::empty()).unwrap();
        let mut here = top.try_clone().unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
            rustix::fs::symlinkat(&outside, &here, "deep-1").unwrap();
            here = rustix::fs::openat(&here, "d", flags, Mode::empty()).unwrap();
        }
        remove_tree(top.as_fd(), "d").unwrap();
        remove_tree(top.as_fd(), "d").unwrap();
        assert!(!place.path().join("d").exists());
        assert_eq!(std::fs::read(outside).unwrap(), b"kept");
    }
}
