//! Becoming a user with just the capabilities that were granted.

use oci_spec::runtime::LinuxCapabilities;
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};
use sandbar_sys::During;

use crate::capabilities;
use crate::error::{Error, Step};
use crate::report::Reporter;
use crate::user::Identity;

/// Gives up what is not granted, for good: bounding set, groups, user, capability sets.
pub(crate) fn assume(
    identity: &Identity,
    granted: Option<&LinuxCapabilities>,
    no_new_privileges: bool,
    reporter: &Reporter,
) -> Result<(), Error> {
    let of = |set: fn(&LinuxCapabilities) -> &Option<_>| {
        capabilities::set(granted.and_then(|granted| set(granted).as_ref()))
    };
    let bounding = of(LinuxCapabilities::bounding);
    let mut permitted = of(LinuxCapabilities::permitted);
    let mut effective = of(LinuxCapabilities::effective);
    let inheritable = of(LinuxCapabilities::inheritable);
    let ambient = of(LinuxCapabilities::ambient);

    drop_bounding(bounding)?;
    rustix::thread::set_keep_capabilities(true).during("prctl", || "PR_SET_KEEPCAPS".into())?;
    assume_identity(identity)?;
    if !identity.uid.is_root() {
        // What execve would clear for a user other than root is not held until then either, but for what
        // ambient capabilities carry over.
        permitted &= ambient;
        effective &= ambient;
    }
    rustix::thread::set_capabilities(None, CapabilitySets { effective, permitted, inheritable })
        .during("capset", || format!("{permitted:?}"))
        .step(|| "set the capabilities".into())?;
    // capabilities(7): what is not permitted and inheritable too can't be raised.
    let raised = ambient & permitted & inheritable;
    if raised != ambient {
        reporter.tell(&format!(
            "ambient capabilities that are not permitted and inheritable are left out: {:?}",
            ambient - raised
        ));
    }
    raise_ambient(raised)?;
    if no_new_privileges {
        rustix::thread::set_no_new_privs(true).during("prctl", || "PR_SET_NO_NEW_PRIVS".into())?;
    }
    Ok(())
}

/// Drops from the bounding set all that is not in `kept`, up to the last capability the kernel has.
fn drop_bounding(kept: CapabilitySet) -> Result<(), Error> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if kept.contains(capability) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // The kernel knows no capability of this number, nor of any higher one.
            Err(Errno::INVAL) => break,
            Err(errno) => {
                return Err(errno)
                    .during("prctl", || format!("PR_CAPBSET_DROP {number}"))
                    .map_err(Error::from);
            }
        }
    }
    Ok(())
}

/// Groups first, for the user may not change them.
fn assume_identity(identity: &Identity) -> Result<(), Error> {
    let Identity { uid, gid, groups } = identity;
    rustix::thread::set_thread_groups(groups).during("setgroups", || format!("{groups:?}"))?;
    rustix::thread::set_thread_res_gid(*gid, *gid, *gid)
        .during("setresgid", || format!("{gid:?}"))?;
    rustix::thread::set_thread_res_uid(*uid, *uid, *uid)
        .during("setresuid", || format!("{uid:?}"))?;
    Ok(())
}

/// Ambient capabilities survive execve for a user other than root.
fn raise_ambient(ambient: CapabilitySet) -> Result<(), Error> {
    rustix::thread::clear_ambient_capability_set()
        .during("prctl", || "PR_CAP_AMBIENT_CLEAR_ALL".into())?;
    for capability in ambient.iter() {
        rustix::thread::configure_capability_in_ambient_set(capability, true)
            .during("prctl", || format!("PR_CAP_AMBIENT_RAISE {capability:?}"))?;
    }
    Ok(())
}
