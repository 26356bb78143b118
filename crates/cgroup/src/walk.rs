//! Visiting a cgroup and all below it.
//!
//! What is below may have been made by a container: any names, any depth. So directories are
//! opened one from another, never by a joined path that could grow past `PATH_MAX`, and only one
//! is open at a time.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, fstat, openat};
use rustix::io::Errno;

use crate::files::is_gone;

/// Calls `enter` in `top` and each directory below, parents first, and `leave` after all below a
/// directory was visited, with its parent and its name (not for `top`). Directories that vanish
/// meanwhile are passed over.
pub(crate) fn walk(
    top: &Path,
    mut enter: impl FnMut(BorrowedFd<'_>) -> Result<(), Errno>,
    mut leave: impl FnMut(BorrowedFd<'_>, &CStr) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mut dir = openat(CWD, top, flags(), Mode::empty())?;
    enter(dir.as_fd())?;
    let mut below = vec![children(&dir)?];
    let mut names: Vec<CString> = Vec::new();
    loop {
        if let Some(name) = below.last_mut().and_then(Vec::pop) {
            match openat(&dir, &name, flags(), Mode::empty()) {
                Ok(child) => {
                    enter(child.as_fd())?;
                    below.push(match children(&child) {
                        Err(errno) if is_gone(errno) => Vec::new(),
                        list => list?,
                    });
                    names.push(name);
                    dir = child;
                }
                Err(errno) if is_gone(errno) => {}
                Err(errno) => return Err(errno),
            }
        } else {
            below.pop();
            let Some(name) = names.pop() else { return Ok(()) };
            dir = openat(&dir, c"..", flags(), Mode::empty())?;
            leave(dir.as_fd(), &name)?;
        }
    }
}

fn flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// The names of the directories in `dir`.
fn children(dir: &OwnedFd) -> Result<Vec<CString>, Errno> {
    // The kernel counts 2 links and one for each directory inside, so most need no listing.
    if fstat(dir)?.st_nlink == 2 {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if entry.file_type() == FileType::Directory && name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_entered_first_and_children_left_first() {
        let top = tempfile::tempdir().unwrap();
        for dir in ["a/b", "c"] {
            std::fs::create_dir_all(top.path().join(dir)).unwrap();
        }
        std::fs::write(top.path().join("a/file"), "").unwrap();
        let (mut entered, mut left) = (0, Vec::new());
        walk(
            top.path(),
            |_| {
                entered += 1;
                Ok(())
            },
            |_, name| {
                left.push(name.to_str().unwrap().to_owned());
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(entered, 4);
        let place = |name| left.iter().position(|n| n == name).unwrap();
        assert!(place("b") < place("a"));
        assert_eq!(left.len(), 3);
    }
}
