//! Making a cgroup's directories, and unmaking them when a later step fails.

use std::path::PathBuf;

use rustix::fs::{CWD, Mode, mkdirat};
use rustix::io::Errno;

use crate::hierarchy::Mount;
use crate::writing::Before;
use crate::{CgroupPath, Controller, Error, Result, files};

/// How often a parent may be removed by another process between its making and its use.
const TRIES: usize = 8;

/// Directories made so far; dropped, they are removed again, unless [kept](Self::keep).
#[derive(Default)]
pub(crate) struct Made(Vec<PathBuf>);

impl Made {
    /// Leaves what was made.
    pub(crate) fn keep(mut self) {
        self.0.clear();
    }

    /// Whether there may be limits from before: a cgroup that was just made has none.
    pub(crate) fn before(&self) -> Before {
        if self.0.is_empty() { Before::Limits } else { Before::Nothing }
    }

    /// Makes the directory of `path` and those above it in `mount`; one that exists is taken over.
    pub(crate) fn make(&mut self, mount: &Mount, path: &CgroupPath) -> Result<()> {
        let dir = mount.dir(path);
        for last in (0..TRIES).map(|i| i + 1 == TRIES) {
            // Parents exist nearly always, so the deepest is tried first.
            match mkdirat(CWD, &dir, Mode::from_raw_mode(0o755)) {
                Ok(()) => {
                    self.0.push(dir);
                    prepare_new(mount, path);
                    break;
                }
                Err(Errno::EXIST) => break,
                Err(Errno::NOENT) if !last => match path.parent() {
                    Some(parent) => self.make(mount, &parent)?,
                    None => return Err(Error::call("make directory", &dir, Errno::NOENT)),
                },
                Err(errno) => return Err(Error::call("make directory", &dir, errno)),
            }
        }
        if mount.controllers.contains(Controller::Cpuset) {
            fill_cpuset(mount, path)
        } else {
            Ok(())
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for dir in self.0.drain(..).rev() {
            // A parent may have got another's cgroup meanwhile; then it stays for that one.
            let _ = files::remove_dir(&dir);
        }
    }
}

/// Before Linux 5.11, version 1's memory limits bound what is below only when this was set, and
/// what is below inherits it. Kernels without the choice have no use for the file's outcome.
fn prepare_new(mount: &Mount, path: &CgroupPath) {
    if mount.controllers.contains(Controller::Memory) && path.parent().is_none() {
        let _ = files::write(&mount.dir(path).join("memory.use_hierarchy"), "1");
    }
}

/// A new cpuset of version 1 has no CPU and no memory node, and then takes no process: it gets its
/// parent's. One left empty by an interrupted making is repaired.
fn fill_cpuset(mount: &Mount, path: &CgroupPath) -> Result<()> {
    let dir = mount.dir(path);
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if files::read(&dir.join(file))?.trim().is_empty() {
            if let Some(parent) = path.parent() {
                fill_cpuset(mount, &parent)?;
            }
            let above = dir.parent().unwrap_or(&mount.point).join(file);
            files::write(&dir.join(file), files::read(&above)?.trim())?;
        }
    }
    Ok(())
}
