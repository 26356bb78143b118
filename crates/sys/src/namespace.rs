//! Leaving namespaces.

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

/// The namespaces that [`unshare`] makes new.
pub type Namespaces = UnshareFlags;

/// Moves the calling thread into new namespaces (`unshare(2)`).
///
/// Only namespaces are accepted: `CLONE_FILES`, which would part the threads' descriptor tables and so make
/// an `OwnedFd` of another thread mean something else here, is refused.
///
/// # Errors
/// `EINVAL` for a flag that is no namespace; else as unshare(2).
pub fn unshare(namespaces: Namespaces) -> Result<(), Errno> {
    let allowed = UnshareFlags::NEWNS
        | UnshareFlags::NEWCGROUP
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWUSER
        | UnshareFlags::NEWTIME;
    if !allowed.contains(namespaces) {
        return Err(Errno::INVAL);
    }
    // SAFETY: without CLONE_FILES the descriptor table stays shared, so every descriptor keeps its meaning.
    unsafe { rustix::thread::unshare_unsafe(namespaces) }
}
