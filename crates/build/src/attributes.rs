//! Extended attributes that are copied with a file: what its owner wrote, and the capabilities of a program.

use std::os::fd::AsFd;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::error::{Error, Result};

/// Those of an open file or directory, in order.
pub(crate) fn of(fd: impl AsFd) -> Result<Vec<(String, Vec<u8>)>> {
    let failed = |call, errno| Error::call(call, "a file that is copied", errno);
    let mut names = Vec::with_capacity(64 << 10);
    match rustix::fs::flistxattr(&fd, rustix::buffer::spare_capacity(&mut names)) {
        Ok(_) => {}
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(errno) => return Err(failed("flistxattr", errno)),
    }
    let mut found = Vec::new();
    for name in names.split(|byte| *byte == 0) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if name != "security.capability" && !name.starts_with("user.") {
            continue;
        }
        let mut value = Vec::with_capacity(64 << 10);
        rustix::fs::fgetxattr(&fd, name, rustix::buffer::spare_capacity(&mut value))
            .map_err(|errno| failed("fgetxattr", errno))?;
        found.push((name.to_owned(), value));
    }
    found.sort();
    Ok(found)
}

/// Gives them to another.
pub(crate) fn set(fd: impl AsFd, attributes: &[(String, Vec<u8>)]) -> Result<()> {
    for (name, value) in attributes {
        rustix::fs::fsetxattr(&fd, name.as_str(), value, XattrFlags::empty())
            .map_err(|errno| Error::call("fsetxattr", name, errno))?;
    }
    Ok(())
}
