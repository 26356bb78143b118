//! A cgroup for one test, and processes in it.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sandbar_cgroup::{Cgroup, CgroupPath, Controller, Entry, Hierarchy, Limits, Version};

/// Long enough for an emulated machine; no test waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A cgroup that is removed, and seen to be gone, at the end of the test.
pub(crate) struct Own {
    pub(crate) hierarchy: Hierarchy,
    pub(crate) cgroup: Cgroup,
}

/// A cgroup path no one else has.
pub(crate) fn unique() -> CgroupPath {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    CgroupPath::new(format!("sandbar-test-{}-{n}", std::process::id())).unwrap()
}

/// The machine's hierarchies, or `None`, having said why, where the tests can't run.
pub(crate) fn hierarchy() -> Option<Hierarchy> {
    if !rustix::process::geteuid().is_root() {
        return skip("not root");
    }
    match Hierarchy::detect() {
        Ok(hierarchy) => Some(hierarchy),
        Err(error) => skip(&error.to_string()),
    }
}

pub(crate) fn skip<T>(why: &str) -> Option<T> {
    eprintln!("skipped: {why}");
    None
}

/// Whether all of `controllers` can be had, having said what is missing.
pub(crate) fn has(hierarchy: &Hierarchy, controllers: &[Controller]) -> bool {
    let all = hierarchy.controllers().unwrap();
    match controllers.iter().find(|c| !all.contains(**c)) {
        Some(missing) => skip(&format!("no cgroup controller {missing}")).unwrap_or(false),
        None => true,
    }
}

impl Own {
    pub(crate) fn new(limits: &Limits) -> Option<Self> {
        let hierarchy = hierarchy()?;
        let created = hierarchy.create(&unique(), limits).unwrap();
        Some(Self { hierarchy, cgroup: created.cgroup })
    }

    /// A new cgroup below, which is removed with this one.
    pub(crate) fn child(&self, name: &str, limits: &Limits) -> Cgroup {
        let path = self.cgroup.path().join(name).unwrap();
        self.hierarchy.create(&path, limits).unwrap().cgroup
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let killed = self.cgroup.kill(PATIENCE);
        let removed = self.cgroup.remove(PATIENCE);
        if !std::thread::panicking() {
            killed.unwrap();
            removed.unwrap();
            assert_gone(&self.cgroup);
        }
    }
}

/// Fails if the cgroup is left in any hierarchy.
pub(crate) fn assert_gone(cgroup: &Cgroup) {
    for dir in dirs(cgroup) {
        assert!(!dir.exists(), "{} is left", dir.display());
    }
}

/// Every directory the cgroup may have.
pub(crate) fn dirs(cgroup: &Cgroup) -> Vec<std::path::PathBuf> {
    use Controller::{
        Cpu, Cpuacct, Cpuset, Devices, Freezer, HugeTlb, Io, Memory, NetCls, NetPrio, Pids,
    };
    let all = [Cpu, Cpuacct, Cpuset, Devices, Freezer, HugeTlb, Io, Memory, NetCls, NetPrio, Pids];
    all.into_iter().filter_map(|c| cgroup.dir(c)).collect()
}

/// A process that has entered `cgroup` and then runs `script` in a shell.
pub(crate) fn run(cgroup: &Cgroup, script: &str) -> Child {
    let entry = cgroup.entry().unwrap();
    let mut command = command(&entry, &format!("echo in; exec >/dev/null; {script}"));
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut word = [0; 3];
    child.stdout.take().unwrap().read_exact(&mut word).unwrap();
    assert_eq!(&word, b"in\n");
    child
}

/// As [`run`], with the exit status and the output of the script.
pub(crate) fn output(cgroup: &Cgroup, script: &str) -> std::process::Output {
    let entry = cgroup.entry().unwrap();
    command(&entry, script).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap()
}

/// The shell moves itself through the entry's descriptors, as a cloned child would (in version 2
/// by its one way without clone3).
fn command(entry: &Entry, script: &str) -> Command {
    let here = format!("/proc/{}/fd", std::process::id());
    let tasks = entry.tasks.iter().map(|fd| format!("{here}/{}", fd.as_raw_fd()));
    let procs = entry.clone_into.iter().map(|fd| format!("{here}/{}/cgroup.procs", fd.as_raw_fd()));
    let moves: String =
        tasks.chain(procs).map(|file| format!("echo 0 > {file} || exit 99; ")).collect();
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("{moves}{script}"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn is_v2(hierarchy: &Hierarchy) -> bool {
    hierarchy.version() == Version::V2
}
