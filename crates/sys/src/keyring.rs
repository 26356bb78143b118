//! The kernel's keyrings.

use rustix::io::Errno;

use crate::fds::last_errno;

/// Gives the calling process a new session keyring with nothing in it, in place of the one that it had of whoever
/// started it (`KEYCTL_JOIN_SESSION_KEYRING` without a name, keyctl(2)).
///
/// # Errors
/// As keyctl(2): `ENOSYS` without keyrings in the kernel, `EDQUOT` when the user has too many.
pub fn new_session_keyring() -> Result<(), Errno> {
    let name = std::ptr::null::<libc::c_char>();
    // SAFETY: keyctl(2) reads no memory for this operation when the name is null.
    let serial =
        unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, name) };
    if serial < 0 { Err(last_errno()) } else { Ok(()) }
}
