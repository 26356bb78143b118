//! The memory that a pod's containers share as `/dev/shm`.
//!
//! It is mounted in a mount namespace of the supervisor's own, from which containers take it along: so it
//! goes with the last of them, and the host never has a mount to clean up.

use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use sandbar_sys::{During, Namespaces, unshare};

use crate::Error;

/// What a pod's shared memory may hold, as a container's own would.
const OPTIONS: &std::ffi::CStr = c"mode=1777,size=65536k";

/// Takes it off `place`, which can then be removed in this namespace too.
pub(crate) fn unmount(place: &Path) {
    // Where there is none, there is nothing to take off.
    let _unmounted = rustix::mount::unmount(place, UnmountFlags::DETACH);
}

/// Mounts it at `place`, and makes this process's mounts its own, with the host's changes still seen.
pub(crate) fn mount(place: &Path) -> Result<(), Error> {
    unshare(Namespaces::NEWNS).during("unshare", || "CLONE_NEWNS".into())?;
    rustix::mount::mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .during("mount", || "/ as a slave".into())?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    match rustix::mount::mount("shm", place, "tmpfs", flags, OPTIONS) {
        // A pod whose containers share no memory has no place for it.
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => {
            Err(errno).during("mount", || place.display().to_string()).map_err(Error::from)
        }
    }
}
