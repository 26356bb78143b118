//! The hierarchies in which systemd knows where processes are, beside those of version 1's controllers.

use std::path::PathBuf;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::Pid;

use crate::error::Cause;
use crate::{Cgroup, Entry, Error, Result, Version, files, mountinfo};

/// Where systemd has placed a process, as `/proc/PID/cgroup` tells the caller.
///
/// # Errors
/// [`System`](crate::ErrorKind::System) when that can't be read.
pub fn place_of(process: Pid) -> Result<String> {
    let file = PathBuf::from(format!("/proc/{}/cgroup", process.as_raw_nonzero()));
    let text = files::read(&file)?;
    let of = |names: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        lines.find(|(all, _)| *all == names).map(|(_, path)| path)
    };
    match of("name=systemd").or(of("")) {
        Some(path) => Ok(path.to_owned()),
        None => Err(Cause::Contents { path: file, text }.into()),
    }
}

/// Lets `entry`, which leads into `cgroup`, lead there in systemd's own hierarchies too. Version 2 has no others.
///
/// # Errors
/// [`Denied`](crate::ErrorKind::Denied), [`System`](crate::ErrorKind::System).
pub fn lead_into(entry: &mut Entry, cgroup: &Cgroup) -> Result<()> {
    if cgroup.hierarchy().version() == Version::V2 {
        return Ok(());
    }
    let text = files::read("/proc/self/mountinfo".as_ref())?;
    let named = mountinfo::named(&text, "systemd").map(|point| (point, "tasks"));
    // A thread alone can't be moved in version 2; the child has but one.
    let unified = mountinfo::parse(&text).v2.map(|point| (point, "cgroup.procs"));
    for (point, file) in named.into_iter().chain(unified) {
        let path = point.join(cgroup.path().as_str()).join(file);
        match openat(CWD, &path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(opened) => entry.tasks.push(opened),
            // Older ones use but one of the two.
            Err(errno) if files::is_gone(errno) => {}
            Err(errno) => return Err(Error::call("open", &path, errno)),
        }
    }
    Ok(())
}
