//! Giving up all that is not needed once the sockets are bound.

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};
use sandbar_sys::During;

use crate::error::Result;

/// The user and group `nobody`.
const NOBODY: u32 = 65534;

/// Becomes nobody, without capabilities and without a way to any. The resolver reads what strangers send:
/// whoever took it over would have its sockets and the names, which all may read.
///
/// Where there is no such user (a user namespace that maps one alone), it stays who it is, without
/// capabilities.
pub(crate) fn give_up() -> Result<()> {
    rustix::thread::set_no_new_privs(true).during("prctl", || "PR_SET_NO_NEW_PRIVS".into())?;
    if rustix::process::geteuid().is_root() {
        let (user, group) =
            (rustix::process::Uid::from_raw(NOBODY), rustix::process::Gid::from_raw(NOBODY));
        let become_nobody = || {
            rustix::thread::set_thread_groups(&[])?;
            rustix::thread::set_thread_res_gid(group, group, group)?;
            rustix::thread::set_thread_res_uid(user, user, user)
        };
        match become_nobody() {
            Ok(()) | Err(Errno::INVAL | Errno::PERM) => {}
            failed => failed.during("setresuid", || NOBODY.to_string())?,
        }
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets).during("capset", || "none".into())?;
    Ok(())
}
