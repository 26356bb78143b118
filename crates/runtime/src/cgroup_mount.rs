//! The mount of type `cgroup`: what a container sees of control groups is its own, whatever the host has
//! (cgroups(7); as runc does it).

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::MoveMountFlags;
use sandbar_sys::{During, Failure, MountAttributes, set_mount_attributes};

use crate::error::{Error, Kind, Step};
use crate::mount_options::{Bind, MountOptions};
use crate::mounts::{clone_tree, file_system, set_attributes};

/// Where every distribution mounts control groups.
const PLACE: &str = "/sys/fs/cgroup";

/// `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
const CGROUP2: u64 = 0x6367_7270;

/// The control groups that this process is in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cgroups {
    /// cgroup v2 alone: the directory.
    Unified(PathBuf),
    /// cgroup v1, or hybrid.
    Hierarchies(Vec<Hierarchy>),
}

/// One hierarchy of cgroup v1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// What its directory is called, such as `cpu,cpuacct`.
    name: String,
    /// Its controllers, or its own name.
    controllers: Vec<String>,
    /// This process's group in it.
    own: PathBuf,
}

impl Cgroups {
    /// Reads where this process is, before it enters a cgroup namespace.
    pub(crate) fn read() -> Result<Self, Error> {
        let text = |path: &str| std::fs::read_to_string(path).during("read", || path.to_owned());
        let groups = text("/proc/self/cgroup")?;
        let kind = rustix::fs::statfs(PLACE).during("statfs", || PLACE.to_owned())?.f_type;
        if u64::try_from(kind) == Ok(CGROUP2) {
            let own = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
            return Ok(Self::Unified(below(Path::new(PLACE), own)));
        }
        Ok(Self::Hierarchies(hierarchies(&groups, &text("/proc/self/mountinfo")?)))
    }

    /// A detached mount of them; `own_namespace` says whether the container has a cgroup namespace.
    pub(crate) fn mount(
        &self,
        options: &MountOptions,
        own_namespace: bool,
    ) -> Result<OwnedFd, Error> {
        match self {
            Self::Unified(_) if own_namespace => Ok(file_system("cgroup2", None, &options.data)?),
            Self::Unified(own) => Ok(clone_tree(own, Bind::One)?),
            Self::Hierarchies(_) if !options.data.is_empty() => {
                let message = format!(
                    "option '{}': cgroup v1 has no such option for a container",
                    options.data.join(",")
                );
                Err(Error::new(Kind::Unsupported, message))
            }
            Self::Hierarchies(_) => Ok(file_system("tmpfs", None, &["mode=755".to_owned()])?),
        }
    }

    /// Fills the tmpfs that [`mount`](Self::mount) made for cgroup v1, once it is attached.
    pub(crate) fn fill(&self, mount: &OwnedFd, options: &MountOptions) -> Result<(), Error> {
        let Self::Hierarchies(hierarchies) = self else { return Ok(()) };
        for hierarchy in hierarchies {
            let step = || format!("mount the cgroup hierarchy {}", hierarchy.name);
            hierarchy.bind(mount, options).step(step)?;
        }
        let ours = MountAttributes {
            set: options.attributes.set & MountAttributes::RDONLY,
            ..MountAttributes::default()
        };
        set_mount_attributes(mount.as_fd(), ours, false)
            .during("mount_setattr", || "read-only".into())?;
        Ok(())
    }
}

impl Hierarchy {
    fn bind(&self, tmpfs: &OwnedFd, options: &MountOptions) -> Result<(), Failure> {
        let name = self.name.as_str();
        rustix::fs::mkdirat(tmpfs, name, Mode::from_raw_mode(0o755))
            .during("mkdirat", || name.to_owned())?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = rustix::fs::openat(tmpfs, name, flags, Mode::empty())
            .during("openat", || name.to_owned())?;
        let copy = clone_tree(&self.own, Bind::One)?;
        set_attributes(copy.as_fd(), options)?;
        let empty =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&copy, "", &target, "", empty)
            .during("move_mount", || name.to_owned())?;
        for controller in self.controllers.iter().filter(|controller| *controller != name) {
            rustix::fs::symlinkat(name, tmpfs, controller)
                .during("symlinkat", || controller.clone())?;
        }
        Ok(())
    }
}

/// The mounted hierarchies of cgroup v1, with the groups that `/proc/self/cgroup` tells of.
fn hierarchies(groups: &str, mounts: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        if controllers.is_empty() {
            continue;
        }
        let mounted = mounts.lines().find_map(|mount| place_of(mount, controllers));
        let Some((root, place)) = mounted else { continue };
        let Some(name) = place.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            continue;
        };
        // What is mounted may itself begin at a group, as in a container.
        let inside = Path::new(group).strip_prefix(&root).unwrap_or(Path::new(""));
        let own = place.join(inside);
        let controllers = controllers
            .split(',')
            .map(|controller| controller.strip_prefix("name=").unwrap_or(controller).to_owned())
            .collect();
        found.push(Hierarchy { name, controllers, own });
    }
    found
}

/// The root and the place of a line of mountinfo, if it is the hierarchy of `controllers` (proc(5)).
fn place_of(line: &str, controllers: &str) -> Option<(PathBuf, PathBuf)> {
    let (mount, system) = line.split_once(" - ")?;
    let mut system = system.split(' ');
    if system.next()? != "cgroup" {
        return None;
    }
    let options = system.nth(1)?;
    let has = |wanted: &str| options.split(',').any(|option| option == wanted);
    if !controllers.split(',').all(has) {
        return None;
    }
    let mut fields = mount.split(' ').skip(3);
    Some((fields.next()?.into(), fields.next()?.into()))
}

fn below(directory: &Path, absolute: &str) -> PathBuf {
    directory.join(absolute.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_with_their_links_and_own_groups() {
        let groups = "4:cpu,cpuacct:/pod/c\n3:pids:/docker/x/pod\n2:name=systemd:/\n0::/\n";
        let mounts = "\
            32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
            33 31 0:30 /docker/x /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
            34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            35 31 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = hierarchies(groups, mounts);
        let of = |name: &str, controllers: &[&str], own: &str| Hierarchy {
            name: name.to_owned(),
            controllers: controllers.iter().map(|&one| one.to_owned()).collect(),
            own: own.into(),
        };
        assert_eq!(
            found,
            [
                of("cpu,cpuacct", &["cpu", "cpuacct"], "/sys/fs/cgroup/cpu,cpuacct/pod/c"),
                of("pids", &["pids"], "/sys/fs/cgroup/pids/pod"),
                of("systemd", &["systemd"], "/sys/fs/cgroup/systemd/"),
            ]
        );
    }
}
