//! The running program as a file.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::CWD;
use rustix::mount::OpenTreeFlags;

use crate::{During, Failure, MountAttributes, set_mount_attributes};

/// This program, through a read-only mount that is nobody else's: so a container that gets hold of it by
/// `/proc/PID/exe` can't write to it (CVE-2019-5736), and all supervisors share its pages.
///
/// # Errors
/// As open_tree(2) and mount_setattr(2).
pub fn own_program() -> Result<OwnedFd, Failure> {
    let path = "/proc/self/exe";
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let file = rustix::mount::open_tree(CWD, path, flags).during("open_tree", || path.into())?;
    let read_only = MountAttributes { set: MountAttributes::RDONLY, ..MountAttributes::default() };
    set_mount_attributes(file.as_fd(), read_only, false)
        .during("mount_setattr", || format!("{path} read-only"))?;
    Ok(file)
}
