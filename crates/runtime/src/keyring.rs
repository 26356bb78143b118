//! The session keyring, in which a process would find the keys of whoever started it.

use rustix::io::Errno;
use sandbar_sys::{During, new_session_keyring};

use crate::error::{Error, Step};
use crate::report::Reporter;

/// Leaves the starter's session keyring for a new one. Where there are none, or where keyctl(2) is not to be had, as
/// in a container, there is nothing to leave that could be used.
pub(crate) fn renew(reporter: &Reporter) -> Result<(), Error> {
    match new_session_keyring() {
        Err(errno @ (Errno::NOSYS | Errno::PERM | Errno::ACCESS)) => {
            reporter.tell(&format!("no session keyring of its own: keyctl: {errno}"));
            Ok(())
        }
        other => other
            .during("keyctl", || "KEYCTL_JOIN_SESSION_KEYRING".into())
            .step(|| "make a session keyring".into()),
    }
}
