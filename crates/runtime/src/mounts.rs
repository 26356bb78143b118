//! The mounts of a container: each made detached, then attached by descriptor.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::Mount;
use rustix::fs::{CWD, OFlags};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};
use sandbar_sys::{During, Failure, MountAttributes, map_mount_owners, set_mount_attributes};

use crate::cgroup_mount::Cgroups;
use crate::error::{Error, Kind, Step};
use crate::mount_options::{Bind, Mapped, MountOptions};
use crate::root::{Covers, Links, Root, is_directory};
use crate::{copy_up, user_namespace};

/// `PROC_SUPER_MAGIC` of `linux/magic.h`.
const PROC: u64 = 0x9fa0;

/// Where the container's own system directories are: a link there is an attack.
pub(crate) const OURS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// What the mounts of one container have in common.
pub(crate) struct Mounting<'a> {
    /// Where the container is in control groups; `None` if no mount asks.
    pub(crate) cgroups: Option<Cgroups>,
    /// Whether the container has a cgroup namespace of its own.
    pub(crate) own_cgroup_namespace: bool,
    /// The SELinux label of new file systems.
    pub(crate) label: Option<&'a str>,
    /// The container's user namespace, whose mappings `idmap` means.
    pub(crate) user_namespace: Option<BorrowedFd<'a>>,
}

impl Mounting<'_> {
    /// Makes `mount` and attaches it below `root`; returns it, for what is done inside it. `bound` is what
    /// [`bind`](Self::bind) prepared earlier.
    pub(crate) fn make(
        &self,
        root: &Root,
        mount: &Mount,
        bound: Option<OwnedFd>,
    ) -> Result<OwnedFd, Error> {
        let place = mount.destination();
        let step = || format!("mount {}", place.display());
        let options = MountOptions::of(mount)?;
        let kind = mount.typ().as_deref().unwrap_or_default();
        let made = match (bound, options.bind, &self.cgroups) {
            (Some(bound), ..) => bound,
            (None, Some(_), _) => self.bind(mount, &options)?,
            (None, None, Some(cgroups)) if kind == "cgroup" => {
                cgroups.mount(&options, self.own_cgroup_namespace).step_into(step)?
            }
            (None, None, _) => {
                let mut data = options.data.clone();
                // The kernel labels its own file systems itself.
                let label = self.label.filter(|_| !["proc", "sysfs", "mqueue"].contains(&kind));
                data.extend(label.map(|label| format!("context={label}")));
                file_system(kind, mount.source().as_deref(), &data).step(step)?
            }
        };
        refuse_false_proc(made.as_fd(), place)?;
        if options.copy_up {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            match root.open(place, flags, links(place)) {
                Ok(image) => copy_up::copy(image.as_fd(), made.as_fd()).step(step)?,
                Err(Errno::NOENT) => {}
                Err(errno) => Err(errno).during("openat2", || place.display().to_string())?,
            }
        }
        let cgroup_v1 = kind == "cgroup" && matches!(self.cgroups, Some(Cgroups::Hierarchies(_)));
        if options.bind.is_none() {
            let mut options = options.clone();
            if cgroup_v1 {
                options.attributes.set &= !MountAttributes::RDONLY;
            }
            set_attributes(made.as_fd(), &options).step(step)?;
        }
        let covers = if is_directory(made.as_fd())? { Covers::Directory } else { Covers::File };
        attach(root, made.as_fd(), place, covers, links(place)).step_into(step)?;
        if let Some(cgroups) = self.cgroups.as_ref().filter(|_| cgroup_v1) {
            cgroups.fill(&made, &options).step_into(step)?;
        }
        Ok(made)
    }

    /// Makes every bind mount, by its place in the list.
    pub(crate) fn bind_all(&self, mounts: &[Mount]) -> Result<HashMap<usize, OwnedFd>, Error> {
        let mut bound = HashMap::new();
        for (index, mount) in mounts.iter().enumerate() {
            let options = MountOptions::of(mount)?;
            if options.bind.is_some() {
                bound.insert(index, self.bind(mount, &options)?);
            }
        }
        Ok(bound)
    }

    /// A detached copy of a part of the host's tree, with its attributes and mapped owners.
    pub(crate) fn bind(&self, mount: &Mount, options: &MountOptions) -> Result<OwnedFd, Error> {
        let place = mount.destination().display();
        let (Some(source), Some(bind)) = (mount.source(), options.bind) else {
            let message = format!("mount {place}: a source is needed");
            return Err(Error::new(Kind::InvalidSpec, message));
        };
        let step = || format!("bind {}", source.display());
        let copy = clone_tree(source, bind).step(step)?;
        if let Some(mapped) = options.mapped {
            let own;
            let namespace = match (mount.uid_mappings(), mount.gid_mappings()) {
                (Some(uids), Some(gids)) => {
                    own = user_namespace::make(uids, gids)?;
                    own.as_fd()
                }
                _ => self.user_namespace.ok_or_else(|| {
                    let message = format!("mount {place}: uidMappings and gidMappings are needed");
                    Error::new(Kind::InvalidSpec, message)
                })?,
            };
            map_mount_owners(copy.as_fd(), namespace, mapped == Mapped::Tree)
                .during("mount_setattr", || "MOUNT_ATTR_IDMAP".into())
                .step(|| format!("mount {place}: map the owners of {}", source.display()))?;
        }
        set_attributes(copy.as_fd(), options).step(step)?;
        Ok(copy)
    }
}

/// What is mounted on `/proc` is a procfs: all that is written to it later relies on that.
fn refuse_false_proc(mount: BorrowedFd<'_>, place: &Path) -> Result<(), Error> {
    if place != Path::new("/proc") {
        return Ok(());
    }
    let stat = rustix::fs::fstatfs(mount).during("fstatfs", || "/proc".into())?;
    if u64::try_from(stat.f_type) == Ok(PROC) {
        return Ok(());
    }
    Err(Error::new(Kind::Hostile, "mounts /proc: only a procfs may be mounted there"))
}

/// Attaches a detached mount at `place` below `root`.
pub(crate) fn attach(
    root: &Root,
    mount: BorrowedFd<'_>,
    place: &Path,
    covers: Covers,
    links: Links,
) -> Result<(), Error> {
    let target = root.mount_point(place, covers, links)?;
    if links == Links::Follow {
        refuse_kernel_file_system(target.as_fd(), place)?;
    }
    rustix::mount::move_mount(
        mount,
        "",
        target.as_fd(),
        "",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )
    .during("move_mount", || place.display().to_string())?;
    Ok(())
}

/// A link of the image's must not lead a volume over what the kernel shows and containers trust
/// (CVE-2019-16884).
fn refuse_kernel_file_system(target: BorrowedFd<'_>, place: &Path) -> Result<(), Error> {
    // linux/magic.h: proc, sysfs, devpts, mqueue, cgroup2, cgroup.
    const KERNELS: [u64; 6] = [0x9fa0, 0x6265_6572, 0x1cd1, 0x1980_0202, 0x6367_7270, 0x0027_e0eb];
    let kind =
        rustix::fs::fstatfs(target).during("fstatfs", || place.display().to_string())?.f_type;
    if u64::try_from(kind).is_ok_and(|kind| KERNELS.contains(&kind)) {
        let message =
            format!("{}: the image leads it into a file system of the kernel's", place.display());
        return Err(Error::new(Kind::Hostile, message));
    }
    Ok(())
}

/// Our own directories must be what they seem; elsewhere the image's links are followed, inside the root.
fn links(place: &Path) -> Links {
    if OURS.iter().any(|ours| place.starts_with(ours)) { Links::Refuse } else { Links::Follow }
}

/// A detached copy of the mount at `source` (`open_tree(2)`).
pub(crate) fn clone_tree(source: &Path, bind: Bind) -> Result<OwnedFd, Failure> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if bind == Bind::Tree {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(CWD, source, flags)
        .during("open_tree", || source.display().to_string())
}

/// A detached copy of the mount that `file` is in, beginning at `file`.
pub(crate) fn clone_at(file: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    rustix::mount::open_tree(file, "", flags).during("open_tree", || "an open file".into())
}

/// A detached mount of a new file system of `kind` with `data` (`fsopen(2)`).
pub(crate) fn file_system(
    kind: &str,
    source: Option<&Path>,
    data: &[String],
) -> Result<OwnedFd, Failure> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)
        .during("fsopen", || kind.to_owned())?;
    let source = source.unwrap_or_else(|| Path::new(kind));
    rustix::mount::fsconfig_set_string(&context, "source", source)
        .during("fsconfig", || format!("{kind} source={}", source.display()))?;
    for option in data {
        match option.split_once('=') {
            Some((key, value)) => rustix::mount::fsconfig_set_string(&context, key, value),
            None => rustix::mount::fsconfig_set_flag(&context, option.as_str()),
        }
        .during("fsconfig", || format!("{kind} {option}"))?;
    }
    rustix::mount::fsconfig_create(&context)
        .during("fsconfig", || format!("{kind} {}", data.join(",")))?;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        .during("fsmount", || kind.to_owned())
}

/// Sets the attributes: those for all below first, for what is said of the mount itself counts more.
pub(crate) fn set_attributes(mount: BorrowedFd<'_>, options: &MountOptions) -> Result<(), Failure> {
    for (attributes, recursive) in [(options.recursive, true), (options.attributes, false)] {
        if attributes != MountAttributes::default() {
            set_mount_attributes(mount, attributes, recursive)
                .during("mount_setattr", || format!("{attributes:?}"))?;
        }
    }
    Ok(())
}

/// Adds a step to an error that has one already.
pub(crate) trait StepInto<T> {
    fn step_into(self, step: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> StepInto<T> for Result<T, Error> {
    fn step_into(self, step: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| Error::new(error.kind(), format!("{}: {}", step(), error.one_line())))
    }
}
