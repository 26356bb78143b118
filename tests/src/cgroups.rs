//! The cgroups of a node: one in each hierarchy that the machine has mounted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Signal, kill_process};

use crate::until::Patience;

/// Where they are mounted on every machine.
const TOP: &str = "/sys/fs/cgroup";

/// What their names begin with, before the id of the process that made them and a number.
const NAME: &str = "sandbar-tests-";

/// A mounted hierarchy.
#[derive(Debug, Clone)]
pub(crate) struct Hierarchy {
    point: PathBuf,
    /// `None` for version 2, else what it is mounted with.
    options: Option<String>,
}

impl Hierarchy {
    /// All of this machine's that are mounted whole.
    pub(crate) fn all() -> Vec<Self> {
        let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut all: Vec<Self> = mountinfo.lines().filter_map(Self::parse).collect();
        all.sort_by(|a, b| a.point.cmp(&b.point));
        all.dedup_by(|a, b| a.point == b.point);
        all
    }

    /// See `proc_pid_mountinfo(5)`.
    fn parse(line: &str) -> Option<Self> {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let mut fields = filesystem.split(' ');
        let (kind, options) = (fields.next()?, fields.nth(1)?);
        let options = match kind {
            "cgroup2" => None,
            "cgroup" => Some(v1_options(options)),
            _ => return None,
        };
        let is_usual = root == "/" && point.starts_with(TOP);
        is_usual.then(|| Self { point: point.into(), options })
    }

    /// Every cgroup at `path` and below, the deepest first.
    pub(crate) fn below(&self, path: &str) -> Vec<PathBuf> {
        let mut found = vec![self.point.join(path)];
        let mut next = 0;
        while let Some(directory) = found.get(next) {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            let more: Vec<_> = entries
                .filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()))
                .map(|entry| entry.path())
                .collect();
            found.extend(more);
            next += 1;
        }
        found.retain(|directory| directory.is_dir());
        found.reverse();
        found
    }
}

/// What tells a version 1 hierarchy from others: its controllers and its name.
fn v1_options(options: &str) -> String {
    let own = |option: &&str| {
        !matches!(*option, "rw" | "ro" | "xattr" | "clone_children" | "noprefix")
            && !option.starts_with("release_agent")
    };
    let mut kept: Vec<&str> = options.split(',').filter(own).collect();
    if kept.iter().all(|option| option.starts_with("name=")) {
        kept.insert(0, "none");
    }
    kept.join(",")
}

/// The cgroups of one node, of the same name in each hierarchy.
#[derive(Debug)]
pub(crate) struct NodeCgroups {
    name: String,
    hierarchies: Vec<Hierarchy>,
}

impl NodeCgroups {
    /// Makes them.
    pub(crate) fn make() -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{NAME}{}-{number}", std::process::id());
        let made = Self { name, hierarchies: Hierarchy::all() };
        for hierarchy in &made.hierarchies {
            let directory = hierarchy.point.join(&made.name);
            fs::create_dir(&directory)?;
            match &hierarchy.options {
                None => offer_controllers(&hierarchy.point),
                Some(options) if options.contains("cpuset") => {
                    // A version 1 cpuset takes no process before it has processors and memory.
                    for file in ["cpuset.cpus", "cpuset.mems"] {
                        fs::write(directory.join(file), fs::read(hierarchy.point.join(file))?)?;
                    }
                    fs::write(directory.join("cgroup.clone_children"), "1")?;
                }
                Some(_) => {}
            }
        }
        Ok(made)
    }

    /// Ends and removes those of test programs that were killed before they could.
    pub(crate) fn end_abandoned() {
        let hierarchies = Hierarchy::all();
        let tops = hierarchies.iter().flat_map(|hierarchy| fs::read_dir(&hierarchy.point));
        let names =
            tops.flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        for name in names.collect::<std::collections::BTreeSet<String>>() {
            let maker = name.strip_prefix(NAME).and_then(|rest| rest.split_once('-'));
            let is_abandoned = |maker: &str| !Path::new("/proc").join(maker).exists();
            if maker.is_some_and(|(maker, _number)| is_abandoned(maker)) {
                Self { name, hierarchies: hierarchies.clone() }.end();
            }
        }
    }

    /// Their name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Moves this process into cgroups that were made under `name`, in which commands then begin, makes them all
    /// that is seen from here on, and mounts them.
    pub(crate) fn enter(name: &str) -> io::Result<()> {
        let hierarchies = Hierarchy::all();
        for hierarchy in &hierarchies {
            fs::write(hierarchy.point.join(name).join("cgroup.procs"), "0")?;
        }
        sandbar_sys::unshare(sandbar_sys::Namespaces::NEWCGROUP)?;
        while unmount(TOP, UnmountFlags::DETACH).is_ok() {}
        if hierarchies.iter().any(|hierarchy| hierarchy.point != Path::new(TOP)) {
            mount("tmpfs", TOP, "tmpfs", MountFlags::empty(), c"mode=755")?;
        }
        for Hierarchy { point, options } in &hierarchies {
            fs::create_dir_all(point)?;
            let kind = if options.is_some() { "cgroup" } else { "cgroup2" };
            let options =
                options.as_ref().map(|it| std::ffi::CString::new(it.as_str())).transpose()?;
            mount(kind, point, kind, MountFlags::empty(), options.as_deref())?;
            if options.is_none() {
                // The top of version 2 must be empty where controllers are to be given to those below.
                fs::create_dir(point.join("init"))?;
                fs::write(point.join("init/cgroup.procs"), "0")?;
                offer_controllers(point);
            }
        }
        Ok(())
    }

    /// Ends all that lives in them, and removes them.
    pub(crate) fn end(&self) {
        let mut patience = Patience::of(Duration::from_secs(10));
        for hierarchy in &self.hierarchies {
            loop {
                let cgroups = hierarchy.below(&self.name);
                let mut empty = true;
                for cgroup in &cgroups {
                    // Who is frozen can't end.
                    let _thawed = fs::write(cgroup.join("freezer.state"), "THAWED");
                    for process in processes(cgroup) {
                        empty = false;
                        let _gone_already = kill_process(process, Signal::KILL);
                    }
                }
                let removed = empty && cgroups.iter().all(|cgroup| fs::remove_dir(cgroup).is_ok());
                if removed {
                    break;
                }
                if !patience.sleep(Duration::from_millis(5)) {
                    let point = hierarchy.point.join(&self.name);
                    eprintln!("{} could not be removed", point.display());
                    break;
                }
            }
        }
    }
}

/// Gives those below what can be given; what can't be is missing, and the tests that need it tell.
fn offer_controllers(directory: &Path) {
    for controller in ["+cpu", "+memory", "+pids", "+cpuset"] {
        let _offered = fs::write(directory.join("cgroup.subtree_control"), controller);
    }
}

/// The processes of a cgroup.
pub(crate) fn processes(cgroup: &Path) -> Vec<Pid> {
    let list = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    list.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
}
