//! The root filesystem: a directory as it is, or an overlay; mounted in the container's own mount namespace
//! alone, so that it goes when the container goes, whoever was killed.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags as Propagation, MoveMountFlags, UnmountFlags};
use sandbar_sys::{During, Failure, MountAttributes, Overlay, set_mount_attributes};

use crate::error::{Error, Kind, Step};
use crate::mount_options::{Bind, propagation_of};
use crate::mounts::clone_tree;
use crate::root::Root;

/// Where a container's root filesystem comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rootfs {
    /// A directory.
    Directory(PathBuf),
    /// A directory that others use, too, and that nobody changes: it is read-only before anything is mounted in it,
    /// so mount points have to be there, and without a mount at `/dev` there are no devices but its own.
    ReadOnly(PathBuf),
    /// An overlay (`Documentation/filesystems/overlayfs.rst`).
    Overlay {
        /// The read-only directories, the top one first.
        lower: Vec<PathBuf>,
        /// What is written.
        upper: PathBuf,
        /// overlayfs's work directory, on the file system of `upper`.
        work: PathBuf,
        /// Whether what is written need not survive a power loss, and so nothing waits for the disk.
        volatile: bool,
    },
}

/// Parts this namespace's mounts from the host's. By default every mount becomes a slave: what is unmounted
/// there goes here too, and nothing made here is seen there. `asked` is `linux.rootfsPropagation`.
pub(crate) fn propagate(asked: Option<&str>) -> Result<(), Error> {
    let (kind, tree) = match asked.filter(|asked| !asked.is_empty()) {
        Some(word) => flags_of(word)?,
        None => (Propagation::DOWNSTREAM, Propagation::REC),
    };
    // The host's mounts are not to become unbindable: the container's root is yet to be bound from them.
    let kind = if kind == Propagation::UNBINDABLE { Propagation::PRIVATE } else { kind };
    rustix::mount::mount_change("/", kind | tree)
        .during("mount", || format!("/ {kind:?} {tree:?}"))
        .step(|| "set the propagation of mounts".into())
}

/// Gives the container's root, now `/`, the propagation that was asked.
pub(crate) fn propagate_root(asked: Option<&str>) -> Result<(), Error> {
    let Some(word) = asked.filter(|asked| !asked.is_empty()) else { return Ok(()) };
    let (kind, tree) = flags_of(word)?;
    rustix::mount::mount_change("/", kind | tree)
        .during("mount", || format!("/ {kind:?} {tree:?}"))
        .step(|| format!("linux.rootfsPropagation {word}"))
}

fn flags_of(word: &str) -> Result<(Propagation, Propagation), Error> {
    let (kind, tree) = propagation_of(word).ok_or_else(|| {
        let message = format!("linux.rootfsPropagation '{word}': not a propagation");
        Error::new(Kind::InvalidSpec, message)
    })?;
    let kind = match kind {
        MountAttributes::SHARED => Propagation::SHARED,
        MountAttributes::SLAVE => Propagation::DOWNSTREAM,
        MountAttributes::UNBINDABLE => Propagation::UNBINDABLE,
        _ => Propagation::PRIVATE,
    };
    Ok((kind, if tree { Propagation::REC } else { Propagation::empty() }))
}

/// Makes the mount that `place` is in private: else what is mounted there would be seen on the host too,
/// where mounts are shared with it.
fn make_private_above(place: &Path) -> Result<(), Failure> {
    let place = std::fs::canonicalize(place).during("realpath", || place.display().to_string())?;
    for above in place.ancestors() {
        match rustix::mount::mount_change(above, Propagation::PRIVATE) {
            // Not the root of a mount: it is further up.
            Err(Errno::INVAL) => {}
            done => return done.during("mount", || format!("{} private", above.display())),
        }
    }
    Ok(())
}

impl Rootfs {
    /// A detached mount of it.
    pub(crate) fn detached(&self, place: &Path) -> Result<OwnedFd, Error> {
        let step = || format!("mount the root filesystem at {}", place.display());
        let mount = match self {
            Self::Directory(directory) | Self::ReadOnly(directory) => {
                clone_tree(directory, Bind::Tree).step(step)?
            }
            Self::Overlay { .. } => self.overlay(place).step(step)?,
        };
        // Propagation of the directory's own mount must not carry the container's mounts outside, and an
        // image's device nodes are no devices: a container's are those of its /dev.
        let set = match self {
            Self::ReadOnly(_) => MountAttributes::NODEV | MountAttributes::RDONLY,
            Self::Directory(_) | Self::Overlay { .. } => MountAttributes::NODEV,
        };
        let own = MountAttributes {
            set,
            propagation: MountAttributes::PRIVATE,
            ..MountAttributes::default()
        };
        set_mount_attributes(mount.as_fd(), own, true)
            .during("mount_setattr", || "private, nodev".into())?;
        Ok(mount)
    }

    /// Attaches what [`detached`](Self::detached) made at `place`, a directory of the host.
    pub(crate) fn attach(mount: OwnedFd, place: &Path) -> Result<Root, Error> {
        let step = || format!("mount the root filesystem at {}", place.display());
        make_private_above(place).step(step)?;
        rustix::mount::move_mount(
            mount.as_fd(),
            "",
            CWD,
            place,
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )
        .during("move_mount", || place.display().to_string())
        .step(step)?;
        Ok(Root::at(mount))
    }

    /// The same at the working directory, in a mount namespace of a user namespace: of those no mount is
    /// shared with the host.
    pub(crate) fn attach_here(mount: OwnedFd) -> Result<Root, Error> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(mount.as_fd(), "", CWD, ".", flags)
            .during("move_mount", || "to the mount point".into())
            .step(|| "mount the root filesystem".into())?;
        Ok(Root::at(mount))
    }

    fn overlay(&self, place: &Path) -> Result<OwnedFd, Failure> {
        let Self::Overlay { lower, upper, work, volatile } = self else {
            return Err(Failure::new("mount", "overlay".into(), Errno::INVAL));
        };
        Overlay { lower, upper: Some((upper, work)), volatile: *volatile }.detached(place)
    }
}

/// Makes `place` the working directory, which a new mount namespace takes over: in a user namespace the way
/// to it may be closed.
pub(crate) fn stand_at(place: &Path) -> Result<(), Error> {
    rustix::process::chdir(place).during("chdir", || place.display().to_string())?;
    Ok(())
}

/// Makes `root` the root directory of this process, and the host's tree unreachable.
pub(crate) fn pivot(root: &Root) -> Result<(), Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let old = rustix::fs::open("/", flags, Mode::empty()).during("open", || "/".into())?;
    rustix::process::fchdir(root).during("fchdir", || "the root filesystem".into())?;
    // Both in one place: the old root lies on top of the new one and is taken off at once (pivot_root(2)).
    rustix::process::pivot_root(".", ".").during("pivot_root", || ". .".into())?;
    // Its unmounting is nobody else's.
    rustix::process::fchdir(&old).during("fchdir", || "the old root".into())?;
    rustix::mount::mount_change(".", Propagation::DOWNSTREAM | Propagation::REC)
        .during("mount", || "the old root as a slave".into())?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)
        .during("umount2", || "the old root".into())?;
    rustix::process::chdir("/").during("chdir", || "/".into())?;
    Ok(())
}

/// The same where the old root can't be put off: that of an initramfs (`--no-pivot`). The new root is moved onto it;
/// what the container could still reach of the host's kernel by a mount that shows all of it, is unmounted before.
pub(crate) fn cover(root: &Root, place: &Path) -> Result<(), Error> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")
        .during("read", || "/proc/self/mountinfo".into())?;
    for line in mounts.lines().rev() {
        let mut fields = line.split(' ');
        let point = fields.nth(4).unwrap_or_default();
        let kind = fields.skip_while(|field| *field != "-").nth(1).unwrap_or_default();
        if matches!(kind, "proc" | "sysfs") && !Path::new(point).starts_with(place) {
            rustix::mount::unmount(point, UnmountFlags::DETACH)
                .during("umount2", || point.to_owned())?;
        }
    }
    rustix::process::fchdir(root).during("fchdir", || "the root filesystem".into())?;
    rustix::mount::mount_move(".", "/").during("mount", || "the root filesystem onto /".into())?;
    rustix::process::chroot(".").during("chroot", || ".".into())?;
    rustix::process::chdir("/").during("chdir", || "/".into())?;
    Ok(())
}
