//! A process of the node, as the node's own tools see it.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::cgroups::{Hierarchy, processes};

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process(pub Pid);

/// Every process in the node's cgroups but the test's own.
#[must_use]
pub fn living() -> Vec<Process> {
    let mut found: Vec<Process> = Hierarchy::all()
        .iter()
        .flat_map(|hierarchy| hierarchy.below(""))
        .flat_map(|cgroup| processes(&cgroup))
        .filter(|pid| *pid != rustix::process::getpid())
        .map(Process)
        .collect();
    found.sort_by_key(|process| process.number());
    found.dedup();
    found
}

impl Process {
    /// That of this number.
    ///
    /// # Panics
    /// If there can't be one.
    #[must_use]
    pub fn of(number: i64) -> Self {
        let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
        Self(pid.expect("a process id"))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0.as_raw_nonzero().get()
    }

    /// A path below its directory in /proc.
    #[must_use]
    pub fn proc(self, name: &str) -> PathBuf {
        Path::new("/proc").join(self.number().to_string()).join(name)
    }

    /// A line of /proc/PID/status.
    ///
    /// # Panics
    /// If there is no such line.
    #[must_use]
    #[track_caller]
    pub fn status(self, name: &str) -> String {
        let status = fs::read_to_string(self.proc("status")).expect("a living process");
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
    }

    /// What it was executed with.
    #[must_use]
    pub fn command(self) -> String {
        let command = fs::read(self.proc("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).replace('\0', " ").trim().to_owned()
    }

    /// Whether it lives; a zombie does not.
    #[must_use]
    pub fn lives(self) -> bool {
        let status = fs::read_to_string(self.proc("status")).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ") && !status.contains("State:\tX")
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it is gone.
    #[track_caller]
    pub fn signal(self, signal: Signal) {
        kill_process(self.0, signal).expect("a living process");
    }

    /// What a namespace of it is called.
    ///
    /// # Panics
    /// If it is gone.
    #[must_use]
    #[track_caller]
    pub fn namespace(self, name: &str) -> String {
        let link = fs::read_link(self.proc("ns").join(name)).expect("a living process");
        link.to_string_lossy().into_owned()
    }
}
