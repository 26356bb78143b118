//! What protects the host's own program from those whom it starts.

use std::ffi::{CString, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

use rustix::fs::StatVfsMountFlags;
use rustix::process::DumpableBehavior;

use crate::failure::{Doing, Failure, Result};

/// Goes on from a read-only mount of this program that is nobody else's, unless it runs from one, so that a
/// container that gets hold of `/proc/PID/exe` can't write to it (CVE-2019-5736); and closes this process to those
/// whose namespaces it is about to enter (CVE-2016-9962).
pub(super) fn protect_program() -> Result<()> {
    let path = "/proc/self/exe";
    let action = "protect the runtime's own program";
    let place = rustix::fs::statvfs(path).doing(action)?;
    if !place.f_flag.contains(StatVfsMountFlags::RDONLY) {
        let file = sandbar_sys::own_program().doing(action)?;
        let strings = |words: Vec<OsString>| {
            let words = words.into_iter().map(|word| CString::new(word.into_vec()));
            words.collect::<std::result::Result<Vec<_>, _>>()
        };
        let environment = std::env::vars_os().map(|(name, value)| {
            let mut variable = name;
            variable.push("=");
            variable.push(value);
            variable
        });
        let arguments = strings(std::env::args_os().collect());
        let (Ok(arguments), Ok(environment)) = (arguments, strings(environment.collect())) else {
            return Err(Failure::new(format!("cannot {action}: an argument has a NUL in it")));
        };
        let errno = sandbar_sys::execute_file(file.as_fd(), &arguments, &environment);
        return Err(Failure::of(action, errno));
    }
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).doing(action)
}
