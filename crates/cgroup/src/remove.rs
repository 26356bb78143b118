//! Removing a cgroup.

use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

use crate::error::Cause;
use crate::files::is_gone;
use crate::wait::Deadline;
use crate::walk::walk;
use crate::{Cgroup, Error, Result, files};

impl Cgroup {
    /// Removes the cgroup from every hierarchy, with all cgroups below it, which a container may
    /// have made. One that does not exist is removed already. Those above stay.
    ///
    /// It ends no process, but waits for those that are about to end.
    ///
    /// # Errors
    /// [`Busy`](crate::ErrorKind::Busy) when there are processes in it after this time;
    /// [`Denied`](crate::ErrorKind::Denied), [`System`](crate::ErrorKind::System). The other
    /// hierarchies are removed all the same.
    pub fn remove(&self, within: Duration) -> Result<()> {
        let mut deadline = Deadline::after(within);
        let mut result = Ok(());
        for mount in self.hierarchy().mounts() {
            let removed = remove(&mount.dir(self.path()), &mut deadline, within);
            result = result.and(removed);
        }
        result
    }
}

fn remove(dir: &Path, deadline: &mut Deadline, within: Duration) -> Result<()> {
    loop {
        match attempt(dir) {
            Ok(()) => return Ok(()),
            Err(errno) if is_gone(errno) => return Ok(()),
            Err(source @ (Errno::BUSY | Errno::NOTEMPTY)) => {
                if !deadline.pause() {
                    let path = dir.to_owned();
                    return Err(Cause::Busy { path, waited: within, source }.into());
                }
            }
            Err(errno) => return Err(Error::call("remove directory", dir, errno)),
        }
    }
}

fn attempt(dir: &Path) -> Result<(), Errno> {
    match files::remove_dir(dir) {
        Err(Errno::BUSY | Errno::NOTEMPTY) => {}
        other => return other,
    }
    walk(
        dir,
        |_| Ok(()),
        |parent, name| match unlinkat(parent, name, AtFlags::REMOVEDIR) {
            // What holds on to one shows in the end, when the top can't be removed.
            Err(errno) if is_gone(errno) || errno == Errno::BUSY || errno == Errno::NOTEMPTY => {
                Ok(())
            }
            other => other,
        },
    )?;
    files::remove_dir(dir)
}
