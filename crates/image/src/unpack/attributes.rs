//! Owner, mode, times and extended attributes of what was made.

use std::os::fd::BorrowedFd;

use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};

use crate::error::{Error, Result, shown};
use crate::tarball::Entry;

/// Sets everything but the times of an open file or directory.
///
/// In this order: a change of owner takes set-id bits and capabilities away.
pub(crate) fn set(fd: BorrowedFd<'_>, entry: &Entry) -> Result<()> {
    let failed = |call: &str, errno| Error::call(call, shown(&entry.path), errno);
    let (uid, gid) = owner(entry);
    rustix::fs::fchown(fd, Some(uid), Some(gid)).map_err(|e| failed("fchown", e))?;
    rustix::fs::fchmod(fd, Mode::from_raw_mode(entry.mode)).map_err(|e| failed("fchmod", e))?;
    for (name, value) in &entry.xattrs {
        if keeps(name)? {
            rustix::fs::fsetxattr(fd, name.as_str(), value, XattrFlags::empty()).map_err(|e| {
                Error::call("fsetxattr", format!("{}, {name}", shown(&entry.path)), e)
            })?;
        }
    }
    Ok(())
}

/// Sets owner, time and, unless it is a link, mode of what can't be opened: a link, a device, a FIFO.
pub(crate) fn set_at(parent: BorrowedFd<'_>, name: &[u8], entry: &Entry, link: bool) -> Result<()> {
    let failed = |call: &str, errno| Error::call(call, shown(&entry.path), errno);
    for (attribute, _) in &entry.xattrs {
        if keeps(attribute)? {
            let path = shown(&entry.path);
            return Err(Error::malformed(format!("{path} is no file, and can't have {attribute}")));
        }
    }
    let (uid, gid) = owner(entry);
    rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| failed("fchownat", e))?;
    if !link {
        // It was made a moment ago in a directory that is open to nobody else: this is no link.
        let mode = Mode::from_raw_mode(entry.mode);
        rustix::fs::chmodat(parent, name, mode, AtFlags::empty())
            .map_err(|e| failed("fchmodat", e))?;
    }
    rustix::fs::utimensat(parent, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| failed("utimensat", e))
}

/// The time of modification; when it was read last is nobody's business.
pub(crate) fn times(mtime: Timespec) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: mtime,
    }
}

fn owner(entry: &Entry) -> (Uid, Gid) {
    (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid))
}

/// Whether an extended attribute is part of the image. Labels of a host's security policy are not.
///
/// # Errors
/// For those with which overlayfs is steered: an image has no say in how its layers are put together.
pub(crate) fn keeps(name: &str) -> Result<bool> {
    if name.starts_with("trusted.overlay.") || name.starts_with("user.overlay.") {
        return Err(Error::malformed(format!("the attribute {name} is reserved for overlayfs")));
    }
    Ok(name == "security.capability"
        || name.starts_with("user.")
        || name.starts_with("system.posix_acl_"))
}
