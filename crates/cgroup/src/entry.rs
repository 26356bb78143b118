//! How a new process gets into a cgroup.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::error::Cause;
use crate::{Cgroup, CgroupPath, Error, Result, files};

/// How a new process gets into a cgroup without a lock that all processes of the machine share.
///
/// Moving a process by writing its id to `cgroup.procs` waits for such a lock, for 10 ms and more.
/// Version 2 places a process at its birth instead (`CLONE_INTO_CGROUP`, `clone(2)`); in version 1
/// a process that still has a single thread moves itself with [`enter`](Self::enter) in
/// microseconds. All descriptors close on exec.
#[derive(Debug)]
pub struct Entry {
    /// For version 2: the cgroup's directory, for `clone_args.cgroup` of `clone3(2)`.
    pub clone_into: Option<OwnedFd>,
    /// For version 1: `tasks` files, open for writing; the child writes `0` to each.
    pub tasks: Vec<OwnedFd>,
}

impl Entry {
    /// Moves the calling thread into the cgroup, by its `tasks` files; nothing for version 2.
    ///
    /// It allocates nothing and only makes system calls, so a child may call it between clone and
    /// exec.
    ///
    /// # Errors
    /// What `write(2)` gives; see `cgroups(7)`.
    pub fn enter(&self) -> Result<(), Errno> {
        self.tasks.iter().try_for_each(|tasks| {
            rustix::io::retry_on_intr(|| rustix::io::write(tasks, b"0")).map(|_| ())
        })
    }
}

impl Cgroup {
    /// Opens what a new process needs to get in.
    ///
    /// In version 1, where this cgroup has no cpuset of its own, the process gets into the nearest
    /// one above.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`Denied`](crate::ErrorKind::Denied),
    /// [`System`](crate::ErrorKind::System).
    pub fn entry(&self) -> Result<Entry> {
        if self.hierarchy().is_v2() {
            let dir = self.open(&self.main_dir(), OFlags::RDONLY | OFlags::DIRECTORY)?;
            return Ok(Entry { clone_into: Some(dir), tasks: Vec::new() });
        }
        let mut tasks = Vec::with_capacity(self.hierarchy().mounts().len());
        for mount in self.hierarchy().mounts() {
            let open =
                |path: &CgroupPath| self.open(&mount.dir(path).join("tasks"), OFlags::WRONLY);
            if !mount.is_on_request() {
                tasks.push(open(self.path())?);
                continue;
            }
            for path in self.path().upwards() {
                match open(&path) {
                    Ok(file) => {
                        tasks.push(file);
                        break;
                    }
                    Err(error) if error.errno() == Some(Errno::NOENT) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Entry { clone_into: None, tasks })
    }

    /// Moves a running process in, with all its threads. Slow, see [`Entry`]: for processes that
    /// could not be born into the cgroup.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`Denied`](crate::ErrorKind::Denied),
    /// [`System`](crate::ErrorKind::System), with `ESRCH` when there is no such process.
    pub fn adopt(&self, process: Pid) -> Result<()> {
        self.must_exist()?;
        for mount in self.hierarchy().mounts() {
            let mut dir = Some(mount.dir(self.path()));
            if mount.is_on_request() {
                dir = self.path().upwards().map(|path| mount.dir(&path)).find(|dir| dir.exists());
            }
            if let Some(dir) = dir {
                write_process(&dir, process)?;
            }
        }
        Ok(())
    }

    /// Moves all processes of this cgroup, as one hierarchy knows it, into `dir` of another.
    pub(crate) fn move_all_into(&self, dir: &Path) -> Result<()> {
        const PASSES: usize = 64;
        let mut moved = std::collections::HashSet::new();
        for _ in 0..PASSES {
            // Children of a moved process are born in `dir`; those of one not yet moved are seen
            // in the next pass.
            let new: Vec<Pid> =
                self.processes()?.into_iter().filter(|pid| moved.insert(*pid)).collect();
            if new.is_empty() {
                return Ok(());
            }
            for process in new {
                match write_process(dir, process) {
                    Err(error) if error.errno() != Some(Errno::SRCH) => return Err(error),
                    _ => {}
                }
            }
        }
        Err(Cause::Busy {
            path: dir.to_owned(),
            waited: std::time::Duration::ZERO,
            source: Errno::AGAIN,
        }
        .into())
    }

    fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd> {
        openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty()).map_err(|source| match source {
            Errno::NOENT => Cause::NotFound { path: path.to_owned(), source }.into(),
            _ => Error::call("open", path, source),
        })
    }
}

fn write_process(dir: &Path, process: Pid) -> Result<()> {
    files::write(&dir.join("cgroup.procs"), &process.as_raw_nonzero().to_string())
}
