//! Where `linux.cgroupsPath` of an OCI runtime configuration leads.
//!
//! See "Cgroups Path" in
//! <https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md>. Like runc, an
//! absolute path begins at each mount point, and a relative one where the caller is: in version 1
//! below its own cgroup of each hierarchy, in version 2 beside its own cgroup, which holds
//! processes and so can't pass controllers on.

use std::path::{Path, PathBuf};

use rustix::process::Pid;

use crate::error::Cause;
use crate::hierarchy::Mount;
use crate::{Cgroup, CgroupPath, Controllers, Entry, Error, Hierarchy, Result, files, mountinfo};

const MOUNTINFO: &str = "/proc/self/mountinfo";

impl Hierarchy {
    /// The cgroup that `cgroups_path` names for a caller whose cgroups are `own`, which is the text
    /// of its `/proc/self/cgroup`. That text is kept beside the container, for a later caller may be
    /// elsewhere. The cgroup is made by [`create`](Self::create) of its
    /// [`hierarchy`](Cgroup::hierarchy) at its [`path`](Cgroup::path).
    ///
    /// # Errors
    /// [`InvalidPath`](crate::ErrorKind::InvalidPath) for a path with `..`, one that names no
    /// cgroup of its own (`/`), and a relative one where `own` is not below the mount points;
    /// [`System`](crate::ErrorKind::System) when `/proc` can't be read.
    pub fn place(&self, cgroups_path: &str, own: &str) -> Result<Cgroup> {
        if cgroups_path.starts_with('/') {
            return Ok(self.open(&CgroupPath::cleaned(cgroups_path)?));
        }
        self.place_relative(cgroups_path, own, &files::read(Path::new(MOUNTINFO))?)
    }

    fn place_relative(&self, relative: &str, own: &str, mountinfo: &str) -> Result<Cgroup> {
        let path = CgroupPath::cleaned(relative)?;
        if self.is_v2() {
            let own = below_point(self.first(), own, mountinfo)?;
            let beside = own.rsplit_once('/').map_or("", |(parent, _)| parent);
            return Ok(self.open(&CgroupPath::cleaned(&format!("{beside}/{path}"))?));
        }
        let points = self.mounts().iter().map(|mount| {
            let own = below_point(mount, own, mountinfo)?;
            Ok::<PathBuf, Error>(match own.trim_matches('/') {
                "" => mount.point.clone(),
                own => mount.point.join(own),
            })
        });
        Ok(self.at_points(points.collect::<Result<_>>()?).open(&path))
    }
}

impl Cgroup {
    /// As [`entry`](Self::entry), for one who is to be where `process` is. They differ in version 2 when what runs
    /// in this cgroup has made cgroups below and given them controllers: then nobody can be in this one itself
    /// (`cgroups(7)`, "no internal processes").
    ///
    /// # Errors
    /// As `entry`; [`InvalidPath`](crate::ErrorKind::InvalidPath) when `process` is not below this cgroup.
    pub fn entry_beside(&self, process: Pid) -> Result<Entry> {
        if !self.hierarchy().is_v2()
            || files::read(&self.main_dir().join("cgroup.subtree_control"))?.trim().is_empty()
        {
            return self.entry();
        }
        let file = format!("/proc/{}/cgroup", process.as_raw_nonzero());
        let places = files::read(Path::new(&file))?;
        let mountinfo = files::read(Path::new(MOUNTINFO))?;
        let path = below_point(self.hierarchy().first(), &places, &mountinfo)?;
        let path = CgroupPath::cleaned(path)?;
        if !path.upwards().skip(1).any(|above| above == *self.path()) {
            let why = "nobody can be in the cgroup, and its first process is not below it";
            return Err(Cause::InvalidPath { path: path.to_string(), why }.into());
        }
        self.hierarchy().open(&path).entry()
    }
}

/// The caller's own cgroup in this hierarchy, from the mount point on.
fn below_point<'a>(mount: &Mount, own: &'a str, mountinfo: &str) -> Result<&'a str> {
    let fault = |path: &str, why| Error::from(Cause::InvalidPath { path: path.to_owned(), why });
    let is_of_mount = |names: &str| match mount.controllers.is_empty() {
        true => names.is_empty(),
        false => mount.has_any(Controllers::parse(names, ',')),
    };
    let path = own
        .lines()
        .filter_map(|line| line.split_once(':')?.1.split_once(':'))
        .find_map(|(names, path)| is_of_mount(names).then_some(path))
        .ok_or_else(|| fault(own, "the caller's own cgroups are not among these"))?;
    if path.split('/').any(|component| component == "..") {
        return Err(fault(path, "the caller's own cgroup is outside its cgroup namespace"));
    }
    // Inside a container without a cgroup namespace, paths are the host's and a part is mounted.
    let root = mountinfo::root_of(mountinfo, &mount.point).unwrap_or_else(|| "/".to_owned());
    path.strip_prefix(root.trim_end_matches('/'))
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .ok_or_else(|| fault(path, "the caller's own cgroup is not below the mount point"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Controller, ErrorKind};

    const V1: &str = "\
33 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 31 0:33 /docker/1f /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
";
    const OWN: &str = "9:name=systemd:/x\n4:memory:/a/b\n1:cpu,cpuacct:/docker/1f\n0::/u\n";
    const V2: &str = "25 20 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";

    fn dir(mountinfo: &str, path: &str, own: &str, controller: Controller) -> Result<String> {
        let hierarchy = Hierarchy::from_mountinfo(mountinfo)?;
        let cgroup = match path.starts_with('/') {
            true => hierarchy.place(path, own)?,
            false => hierarchy.place_relative(path, own, mountinfo)?,
        };
        Ok(cgroup.dir(controller).unwrap().display().to_string())
    }

    #[test]
    fn an_absolute_path_begins_at_the_mount_point() {
        let at = |path| dir(V1, path, OWN, Controller::Memory).unwrap();
        assert_eq!(at("/a.slice/x@1"), "/sys/fs/cgroup/memory/a.slice/x@1");
        assert_eq!(at("//a/./b/"), "/sys/fs/cgroup/memory/a/b");
    }

    #[test]
    fn a_relative_path_is_below_the_callers_own_cgroup_of_each_controller() {
        let at = |controller| dir(V1, "c/d", OWN, controller).unwrap();
        assert_eq!(at(Controller::Memory), "/sys/fs/cgroup/memory/a/b/c/d");
        assert_eq!(at(Controller::Cpu), "/sys/fs/cgroup/cpu,cpuacct/c/d");
    }

    #[test]
    fn in_version_2_a_relative_path_is_beside_the_callers_own_cgroup() {
        let at = |own| dir(V2, "c", own, Controller::Memory).unwrap();
        assert_eq!(at("0::/user.slice/s-1.scope\n"), "/sys/fs/cgroup/user.slice/c");
        assert_eq!(at("0::/\n"), "/sys/fs/cgroup/c");
    }

    #[test]
    fn a_path_never_leads_out() {
        for path in ["/../a", "/a/../../b", "../a", "a/..", "/", "", ".", "/a\0", "/a\nb"] {
            let error = dir(V1, path, OWN, Controller::Memory).expect_err(path);
            assert_eq!(error.kind(), ErrorKind::InvalidPath, "{path:?}");
        }
        for own in
            ["0::/../x\n", "4:memory:/..\n1:cpu:/docker/1f\n", "1:cpu:/other\n4:memory:/\n", ""]
        {
            let error = dir(V1, "c", own, Controller::Memory).expect_err(own);
            assert_eq!(error.kind(), ErrorKind::InvalidPath, "{own:?}");
        }
    }
}
