//! Version 2: a program attached to the cgroup.

use std::os::fd::AsFd;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use sandbar_sys::{
    attach_device_program, detach_device_program, device_programs, load_device_program,
};

use super::DeviceList;
use crate::{Cgroup, Error, Result};

/// Attaches the program of `list` in the place of those that were there: a cgroup's own programs
/// are all of this crate, or of whoever managed the cgroup before.
pub(super) fn set(cgroup: &Cgroup, list: &DeviceList) -> Result<()> {
    let path = cgroup.main_dir();
    let failed = |call| {
        let path = path.clone();
        move |errno| Error::call(call, &path, errno)
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, &path, flags, Mode::empty()).map_err(failed("open"))?;
    let directory = directory.as_fd();
    let program =
        load_device_program(&list.program()).map_err(failed("load the BPF device program for"))?;
    let program = program.as_fd();
    let old = device_programs(directory).map_err(failed("list the BPF device programs of"))?;
    let attach = |replaced| attach_device_program(directory, program, replaced);
    if let [only] = old.as_slice() {
        match attach(Some(only.as_fd())) {
            Ok(()) => return Ok(()),
            // Before Linux 5.6; or it was not attached with room for others.
            Err(Errno::INVAL | Errno::NOENT | Errno::PERM) => {}
            Err(errno) => return Err(failed("replace the BPF device program of")(errno)),
        }
    }
    // All that are attached must agree, so for a moment less is allowed, never more.
    attach(None).map_err(failed("attach a BPF device program to"))?;
    for program in old {
        match detach_device_program(directory, program.as_fd()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed("detach an old BPF device program from")(errno)),
        }
    }
    Ok(())
}
