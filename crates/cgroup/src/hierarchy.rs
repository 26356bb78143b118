//! The hierarchies this machine has mounted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::statfs;

use crate::error::Cause;
use crate::{Cgroup, CgroupPath, Controller, Controllers, Result, files, mountinfo};

/// Where pure version 2 is mounted on nearly every machine that has it.
const USUAL_POINT: &str = "/sys/fs/cgroup";
const CGROUP2_SUPER_MAGIC: u32 = 0x6367_7270;

/// What version 1 processes are placed in, where mounted. The others (`cpuset`, `blkio`, `net_cls`
/// and their like) are used when a limit asks for them.
const USED_V1: Controllers = Controllers::of(&[
    Controller::Cpu,
    Controller::Cpuacct,
    Controller::Devices,
    Controller::Freezer,
    Controller::Memory,
    Controller::Pids,
]);

/// Which layout the controllers are in. See `cgroups(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy for each controller, or several co-mounted.
    V1,
    /// As [`V1`](Self::V1), with a version 2 hierarchy beside it that has no controller of ours,
    /// as systemd once set up. It is used like version 1.
    Hybrid,
    /// One hierarchy for all.
    V2,
}

/// The cgroup file systems in use. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy(Arc<Layout>);

#[derive(Debug, PartialEq, Eq)]
struct Layout {
    version: Version,
    /// One for version 2, else those with a controller we know; never empty.
    mounts: Vec<Mount>,
}

/// One mounted hierarchy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) point: PathBuf,
    /// The controllers of a version 1 hierarchy; empty for version 2, which lists them in a file.
    pub(crate) controllers: Controllers,
}

impl Mount {
    pub(crate) fn dir(&self, path: &CgroupPath) -> PathBuf {
        self.point.join(path.as_str())
    }

    /// Whether this version 1 hierarchy has one of `controllers`.
    pub(crate) fn has_any(&self, controllers: Controllers) -> bool {
        !self.controllers.intersection(controllers).is_empty()
    }

    /// Whether this is a hierarchy of version 1 that is used only on request.
    pub(crate) fn is_on_request(&self) -> bool {
        !self.controllers.is_empty() && self.controllers.intersection(USED_V1).is_empty()
    }
}

impl Hierarchy {
    /// Finds what is mounted: one system call for pure version 2 in its usual place, else one
    /// reading of `/proc/self/mountinfo`.
    ///
    /// # Errors
    /// [`NoCgroups`](crate::ErrorKind::NoCgroups), or
    /// [`System`](crate::ErrorKind::System) when `/proc` can't be read.
    pub fn detect() -> Result<Self> {
        let is_v2 = statfs(USUAL_POINT)
            .is_ok_and(|fs| u32::try_from(fs.f_type).is_ok_and(|t| t == CGROUP2_SUPER_MAGIC));
        if is_v2 {
            return Ok(Self::v2(USUAL_POINT.into()));
        }
        Self::from_mountinfo(&files::read(Path::new("/proc/self/mountinfo"))?)
    }

    /// Finds what is mounted in the text of `/proc/<pid>/mountinfo`. See
    /// `proc_pid_mountinfo(5)`.
    ///
    /// # Errors
    /// [`NoCgroups`](crate::ErrorKind::NoCgroups).
    pub fn from_mountinfo(text: &str) -> Result<Self> {
        let mounted = mountinfo::parse(text);
        let main = Controllers::of(&[Controller::Cpu, Controller::Memory, Controller::Pids]);
        let is_v1 = mounted.v1.iter().any(|(all, _)| !all.intersection(main).is_empty());
        match mounted.v2 {
            // A hierarchy of version 1 that someone mounted for one purpose does not count.
            Some(point) if !is_v1 => Ok(Self::v2(point)),
            None if mounted.v1.is_empty() => Err(Cause::NoCgroups.into()),
            v2 => {
                let version = if v2.is_some() { Version::Hybrid } else { Version::V1 };
                let mounts = mounted
                    .v1
                    .into_iter()
                    .map(|(controllers, point)| Mount { point, controllers })
                    .collect();
                Self::of_mounts(version, mounts)
            }
        }
    }

    fn v2(point: PathBuf) -> Self {
        let mounts = vec![Mount { point, controllers: Controllers::NONE }];
        Self(Arc::new(Layout { version: Version::V2, mounts }))
    }

    fn of_mounts(version: Version, mut mounts: Vec<Mount>) -> Result<Self> {
        // The first is the one asked for processes: the freezer's, where they are also stopped.
        mounts.sort_by_key(|mount| {
            (mount.is_on_request(), !mount.controllers.contains(Controller::Freezer))
        });
        match mounts.first() {
            Some(first) if !first.is_on_request() => Ok(Self(Arc::new(Layout { version, mounts }))),
            _ => Err(Cause::NoCgroups.into()),
        }
    }

    /// Which layout is in use.
    #[must_use]
    pub fn version(&self) -> Version {
        self.0.version
    }

    pub(crate) fn is_v2(&self) -> bool {
        self.0.version == Version::V2
    }

    /// The controllers that can be had. Version 2 counts CPU time, freezes and controls devices
    /// without a controller, so it never has [`Cpuacct`](Controller::Cpuacct),
    /// [`Freezer`](Controller::Freezer) and [`Devices`](Controller::Devices).
    ///
    /// # Errors
    /// [`System`](crate::ErrorKind::System) when version 2's list can't be read.
    pub fn controllers(&self) -> Result<Controllers> {
        if self.is_v2() {
            let list = files::read(&self.first().point.join("cgroup.controllers"))?;
            return Ok(Controllers::parse(&list, ' '));
        }
        let all = self.mounts().iter().map(|mount| mount.controllers);
        Ok(all.fold(Controllers::NONE, Controllers::union))
    }

    /// The cgroup at `path`, whether it exists or not; no system call is made.
    #[must_use]
    pub fn open(&self, path: &CgroupPath) -> Cgroup {
        Cgroup::new(self.clone(), path.clone())
    }

    /// The same hierarchies of version 1, each taken from another directory on.
    pub(crate) fn at_points(&self, points: Vec<PathBuf>) -> Self {
        let moved = self.mounts().iter().zip(points);
        let mounts =
            moved.map(|(mount, point)| Mount { point, controllers: mount.controllers }).collect();
        Self(Arc::new(Layout { version: self.version(), mounts }))
    }

    pub(crate) fn mounts(&self) -> &[Mount] {
        &self.0.mounts
    }

    /// The hierarchy that is asked for processes.
    pub(crate) fn first(&self) -> &Mount {
        &self.0.mounts[0]
    }

    /// The hierarchy that has `controller`, or could have it.
    pub(crate) fn of(&self, controller: Controller) -> Option<&Mount> {
        let mut mounts = self.0.mounts.iter();
        mounts.find(|mount| self.is_v2() || mount.controllers.contains(controller))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const V1: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
37 31 0:34 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer
38 31 0:35 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio
39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
";
    const UNIFIED: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    #[test]
    fn version_1() {
        let found = Hierarchy::from_mountinfo(V1).unwrap();
        assert_eq!(found.version(), Version::V1);
        assert_eq!(found.first().point, Path::new("/sys/fs/cgroup/freezer"));
        assert!(found.of(Controller::Cpuset).unwrap().is_on_request());
        assert!(found.of(Controller::Io).is_some_and(Mount::is_on_request));
        assert!(found.of(Controller::HugeTlb).is_none());
        assert_eq!(
            format!("{:?}", found.controllers().unwrap()),
            "{Cpu, Cpuacct, Cpuset, Freezer, Io, Memory, Pids}"
        );
    }

    #[test]
    fn hybrid_is_version_1_with_a_name() {
        let hybrid = Hierarchy::from_mountinfo(&format!("{V1}{UNIFIED}")).unwrap();
        assert_eq!(hybrid.version(), Version::Hybrid);
        assert_eq!(hybrid.mounts(), Hierarchy::from_mountinfo(V1).unwrap().mounts());
    }

    #[test]
    fn version_2_as_systemd_mounts_it_and_beside_a_stray_version_1_mount() {
        let systemd = "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - \
                       cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
        let stray = "90 24 0:60 / /run/net_cls rw - cgroup none rw,net_cls\n\
                     91 24 0:61 / /run/freezer rw - cgroup none rw,freezer\n";
        for text in [systemd.to_owned(), format!("{stray}{systemd}")] {
            let found = Hierarchy::from_mountinfo(&text).unwrap();
            assert_eq!(found.version(), Version::V2);
            assert_eq!(found.first().point, Path::new("/sys/fs/cgroup"));
        }
    }

    #[test]
    fn no_cgroups() {
        let named = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n";
        let cpuset = "34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";
        for text in ["", "21 1 8:1 / / rw - ext4 /dev/a rw\n", named, cpuset] {
            let error = Hierarchy::from_mountinfo(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoCgroups, "{text}");
        }
    }
}
