//! The mounts of a container: each made detached, then attached by descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use oci_spec::runtime::Mount;
use rustix::fs::CWD;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};
use sandbar_sys::{During, Failure, MountAttributes, set_mount_attributes};

use crate::error::{Error, Kind, Step};
use crate::mount_options::{Bind, MountOptions};
use crate::root::{Covers, Links, Root, is_directory};

/// Where the container's own system directories are: a link there is an attack.
const OURS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// Makes `mount` and attaches it below `root`; returns it, for what is done inside it.
pub(crate) fn make(root: &Root, mount: &Mount) -> Result<OwnedFd, Error> {
    let place = mount.destination();
    let step = || format!("mount {}", place.display());
    let options = MountOptions::of(mount)?;
    let made = match options.bind {
        Some(bind) => bind_mount(mount, bind)?,
        None => new_file_system(mount, &options).step(step)?,
    };
    set_attributes(made.as_fd(), &options).step(step)?;
    let covers = if is_directory(made.as_fd())? { Covers::Directory } else { Covers::File };
    attach(root, made.as_fd(), place, covers, links(place)).step_into(step)?;
    Ok(made)
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

/// A detached copy of a part of the host's tree.
fn bind_mount(mount: &Mount, bind: Bind) -> Result<OwnedFd, Error> {
    let Some(source) = mount.source() else {
        let message = format!("mount {}: a source is needed", mount.destination().display());
        return Err(Error::new(Kind::InvalidSpec, message));
    };
    clone_tree(source, bind).step(|| format!("bind {}", source.display()))
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

/// A detached mount of a new file system.
fn new_file_system(mount: &Mount, options: &MountOptions) -> Result<OwnedFd, Failure> {
    let kind = mount.typ().as_deref().unwrap_or_default();
    let kind = if kind == "cgroup" { "cgroup2" } else { kind };
    file_system(kind, mount.source().as_deref(), &options.data)
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

fn set_attributes(mount: BorrowedFd<'_>, options: &MountOptions) -> Result<(), Failure> {
    for (attributes, recursive) in [(options.attributes, false), (options.recursive, true)] {
        if attributes != MountAttributes::default() {
            set_mount_attributes(mount, attributes, recursive)
                .during("mount_setattr", || format!("{attributes:?}"))?;
        }
    }
    Ok(())
}

/// Adds a step to an error that has one already.
trait StepInto<T> {
    fn step_into(self, step: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> StepInto<T> for Result<T, Error> {
    fn step_into(self, step: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|error| Error::new(error.kind(), format!("{}: {}", step(), error.one_line())))
    }
}
