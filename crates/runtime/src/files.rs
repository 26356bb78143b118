//! Writing into the virtual file systems of the container that we mounted ourselves.

use std::io::Write;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use sandbar_sys::{During, Failure};

/// Writes `text` to `path` below `directory`, following no link and crossing into no other mount.
pub(crate) fn write_below(
    directory: BorrowedFd<'_>,
    path: &Path,
    text: &str,
) -> Result<(), Failure> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve)
        .during("openat2", || path.display().to_string())?;
    std::fs::File::from(file)
        .write_all(text.as_bytes())
        .during("write", || format!("'{text}' to {}", path.display()))
}
