//! Paths of the kernel's file systems that a container may not see, or not write.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use sandbar_sys::{During, MountAttributes, set_mount_attributes};

use crate::devices;
use crate::error::{Error, Kind, Step};
use crate::mounts::{OURS, clone_at, file_system};
use crate::root::{Covers, Links, Root};

/// What was mounted on the directories of the kernel's, by their places. Paths below them are looked for from the
/// mounts themselves: who may write to the root filesystem can put another directory where one is mounted, and what
/// was mounted would go on elsewhere, unmasked.
#[derive(Default)]
pub(crate) struct Kernels(Vec<(PathBuf, Root)>);

impl Kernels {
    /// Keeps `mount` if it is one of those.
    pub(crate) fn keep(&mut self, place: &Path, mount: OwnedFd) {
        if OURS.iter().any(|ours| place.starts_with(ours)) {
            self.0.push((place.to_owned(), Root::at(mount)));
        }
    }

    /// Opens `path` from the innermost mount that it is in, else from `root`.
    fn open(&self, root: &Root, path: &Path) -> Result<OwnedFd, Errno> {
        let within = |(place, mount)| Some((Path::strip_prefix(path, place).ok()?, mount));
        let mounts = self.0.iter().rev().map(|(place, mount)| (place, mount)).filter_map(within);
        // Of two in one place the later one covers the other.
        match mounts.min_by_key(|(rest, _)| rest.components().count()) {
            Some((rest, mount)) => {
                mount.open(&Path::new("/").join(rest), OFlags::PATH, Links::Refuse)
            }
            None => root.open(path, OFlags::PATH, Links::Refuse),
        }
    }
}

/// Covers each path: a file by the null device, a directory by an empty read-only one. What is not there
/// needs no mask.
pub(crate) fn mask(root: &Root, kernels: &Kernels, paths: &[String]) -> Result<(), Error> {
    if paths.is_empty() {
        return Ok(());
    }
    let null = null_device(root, kernels)?;
    let mut empty: Option<OwnedFd> = None;
    for path in paths {
        let path = Path::new(path);
        let Some((target, covers)) = find(root, kernels, path)? else { continue };
        let step = || format!("mask {}", path.display());
        let cover = match (covers, &empty) {
            (Covers::File, _) => clone_at(null.as_fd()).step(step)?,
            (Covers::Directory, Some(empty)) => clone_at(empty.as_fd()).step(step)?,
            // The first is attached itself: before Linux 6.15 only what is attached can be copied.
            (Covers::Directory, None) => empty_directory()?,
        };
        cover_with(cover.as_fd(), target.as_fd(), path).step(step)?;
        if covers == Covers::Directory {
            empty.get_or_insert(cover);
        }
    }
    Ok(())
}

/// Makes each path read-only, with all below it.
pub(crate) fn make_read_only(
    root: &Root,
    kernels: &Kernels,
    paths: &[String],
) -> Result<(), Error> {
    let read_only = MountAttributes { set: MountAttributes::RDONLY, ..MountAttributes::default() };
    for path in paths {
        let path = Path::new(path);
        let Some((target, _)) = find(root, kernels, path)? else { continue };
        clone_at(target.as_fd())
            .and_then(|copy| {
                set_mount_attributes(copy.as_fd(), read_only, true)
                    .during("mount_setattr", || "read-only".into())?;
                cover_with(copy.as_fd(), target.as_fd(), path)
            })
            .step(|| format!("make {} read-only", path.display()))?;
    }
    Ok(())
}

/// The file to cover; `None` if it is not there. A link on the way, in a file system that the kernel
/// makes, is somebody's attack.
fn find(root: &Root, kernels: &Kernels, path: &Path) -> Result<Option<(OwnedFd, Covers)>, Error> {
    match kernels.open(root, path) {
        Ok(target) => {
            let directory = crate::root::is_directory(target.as_fd())?;
            Ok(Some((target, if directory { Covers::Directory } else { Covers::File })))
        }
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(Errno::LOOP) => {
            let message = format!("mask {}: a symbolic link is in the way", path.display());
            Err(Error::new(Kind::Hostile, message))
        }
        Err(errno) => {
            Err(errno).during("openat2", || path.display().to_string()).map_err(Error::from)
        }
    }
}

fn cover_with(
    cover: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    path: &Path,
) -> Result<(), sandbar_sys::Failure> {
    use rustix::mount::MoveMountFlags;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(cover, "", target, "", flags)
        .during("move_mount", || path.display().to_string())
}

/// The container's null device: by descriptor, and only if it is the real one (CVE-2025-31133).
fn null_device(root: &Root, kernels: &Kernels) -> Result<OwnedFd, Error> {
    let null = kernels
        .open(root, Path::new("/dev/null"))
        .during("openat2", || "/dev/null in the container".into())
        .step(|| "mask paths".into())?;
    if devices::is_null(null.as_fd()) {
        Ok(null)
    } else {
        Err(Error::new(Kind::Hostile, "/dev/null in the container is not the null device"))
    }
}

/// An empty read-only directory, of which every mask of a directory is a copy.
fn empty_directory() -> Result<OwnedFd, Error> {
    let data = ["size=0k".to_owned(), "mode=755".to_owned()];
    let mount = file_system("tmpfs", None, &data)?;
    let attributes = MountAttributes {
        set: MountAttributes::RDONLY
            | MountAttributes::NOSUID
            | MountAttributes::NODEV
            | MountAttributes::NOEXEC,
        ..MountAttributes::default()
    };
    set_mount_attributes(mount.as_fd(), attributes, false)
        .during("mount_setattr", || "an empty directory".into())?;
    Ok(mount)
}
