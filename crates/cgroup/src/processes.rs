//! Which processes are in a cgroup.

use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, getpid};

use crate::error::Cause;
use crate::files::is_gone;
use crate::walk::walk;
use crate::{Cgroup, Error, Result, files};

impl Cgroup {
    /// The processes in the cgroup and below it; none if it does not exist. Processes outside
    /// the caller's PID namespace are left out, and so are zombies.
    ///
    /// # Errors
    /// [`Denied`](crate::ErrorKind::Denied), [`System`](crate::ErrorKind::System).
    pub fn processes(&self) -> Result<Vec<Pid>> {
        let top = self.main_dir();
        let mut processes = Vec::new();
        let read = walk(
            &top,
            |dir| match files::read_at(dir, c"cgroup.procs") {
                Ok(text) => {
                    processes.extend(pids(&text));
                    Ok(())
                }
                // A threaded cgroup (version 2) has no list; the processes of its threads are in
                // the list of the domain cgroup above.
                Err(Errno::OPNOTSUPP) => Ok(()),
                Err(errno) if is_gone(errno) => Ok(()),
                Err(errno) => Err(errno),
            },
            |_, _| Ok(()),
        );
        match read {
            Ok(()) => Ok(processes),
            Err(errno) if is_gone(errno) => Ok(Vec::new()),
            Err(errno) => Err(Error::call("list the processes of", &top, errno)),
        }
    }

    /// Whether a process is in the cgroup or below it; false if it does not exist. Zombies do not
    /// count.
    ///
    /// # Errors
    /// As for [`processes`](Self::processes).
    pub fn is_populated(&self) -> Result<bool> {
        if !self.hierarchy().is_v2() {
            return Ok(!self.processes()?.is_empty());
        }
        let file = self.main_dir().join("cgroup.events");
        match files::read_if_there(&file)? {
            Some(events) => flag(&file, &events, "populated"),
            None => Ok(false),
        }
    }

    /// The processes; an error if the caller is one, who would stop or end itself.
    pub(crate) fn others(&self) -> Result<Vec<Pid>> {
        let processes = self.processes()?;
        if processes.contains(&getpid()) {
            return Err(Cause::HoldsCaller { path: self.main_dir() }.into());
        }
        Ok(processes)
    }
}

fn pids(text: &str) -> impl Iterator<Item = Pid> {
    // Version 2 lists a process outside the reader's namespace as 0.
    text.lines().filter_map(|line| line.parse().ok()).filter_map(Pid::from_raw)
}

/// The value of a line `name 0` or `name 1` in a flat keyed file.
pub(crate) fn flag(path: &Path, text: &str, name: &str) -> Result<bool> {
    match keyed(text, name) {
        Some(0) => Ok(false),
        Some(_) => Ok(true),
        None => Err(Error::contents(path, text)),
    }
}

/// The value of a line `name number` in a flat keyed file.
pub(crate) fn keyed(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_keyed_files() {
        let list: Vec<i32> = pids("7\n0\n12\n").map(|p| p.as_raw_nonzero().get()).collect();
        assert_eq!(list, [7, 12]);
        let events = "populated 1\nfrozen 0\n";
        assert!(flag(Path::new("e"), events, "populated").unwrap());
        assert!(!flag(Path::new("e"), events, "frozen").unwrap());
        assert!(flag(Path::new("e"), events, "froz").is_err());
        assert_eq!(keyed("oom 3\noom_kill 12\n", "oom_kill"), Some(12));
    }
}
