//! Attributes of mounts.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::fds::last_errno;

/// What `mount_setattr(2)` changes on a mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MountAttributes {
    /// `MOUNT_ATTR_*` bits to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` bits to clear first.
    pub clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED` or `MS_UNBINDABLE`; 0 leaves the propagation as it is.
    pub propagation: u64,
}

impl MountAttributes {
    /// Read-only.
    pub const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
    /// No set-user-ID programs.
    pub const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
    /// No device nodes.
    pub const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
    /// No programs.
    pub const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
    /// All that says how access times are kept: to be cleared whenever one of them is set.
    pub const ATIME: u64 = libc::MOUNT_ATTR__ATIME;
    /// No access times.
    pub const NOATIME: u64 = libc::MOUNT_ATTR_NOATIME;
    /// An access time for every access.
    pub const STRICTATIME: u64 = libc::MOUNT_ATTR_STRICTATIME;
    /// No access times of directories.
    pub const NODIRATIME: u64 = libc::MOUNT_ATTR_NODIRATIME;
    /// Symbolic links are not followed (Linux 5.14).
    pub const NOSYMFOLLOW: u64 = libc::MOUNT_ATTR_NOSYMFOLLOW;
    /// Private propagation.
    pub const PRIVATE: u64 = libc::MS_PRIVATE;
    /// Slave propagation.
    pub const SLAVE: u64 = libc::MS_SLAVE;
    /// Shared propagation.
    pub const SHARED: u64 = libc::MS_SHARED;
    /// Private, and never to be bound elsewhere.
    pub const UNBINDABLE: u64 = libc::MS_UNBINDABLE;
}

/// Changes the attributes of the mount that `mount` is the root of, and with `recursive` of all below it
/// (`mount_setattr(2)`, Linux 5.12).
///
/// # Errors
/// As mount_setattr(2).
pub fn set_mount_attributes(
    mount: BorrowedFd<'_>,
    attributes: MountAttributes,
    recursive: bool,
) -> Result<(), Errno> {
    let raw = libc::mount_attr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: attributes.propagation,
        userns_fd: 0,
    };
    set(mount, &raw, recursive)
}

/// Shows the owners of files through the mappings of `user_namespace`, on the detached mount that `mount` is
/// the root of, and with `recursive` on all below it (`MOUNT_ATTR_IDMAP` of `mount_setattr(2)`, Linux 5.12).
///
/// # Errors
/// As mount_setattr(2): `EINVAL` where the file system has no such mounts.
pub fn map_mount_owners(
    mount: BorrowedFd<'_>,
    user_namespace: BorrowedFd<'_>,
    recursive: bool,
) -> Result<(), Errno> {
    let raw = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::from(user_namespace.as_raw_fd().cast_unsigned()),
    };
    set(mount, &raw, recursive)
}

fn set(mount: BorrowedFd<'_>, raw: &libc::mount_attr, recursive: bool) -> Result<(), Errno> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the descriptor is open, the path is an empty C string, and the structure is initialised and
    // as long as said.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(raw),
            size_of_val(raw),
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}
