//! The few settings of the network stack that netlink does not reach.
//!
//! Nothing is written that is right already, and what every pod needs is written where it takes no lock: a write to
//! one interface's setting that finds the kernel's network lock (RTNL) taken is begun again, by the kernel and without
//! a pause, until it is free. With many pods starting and ending, that kept two processors busy for a minute.

use std::{fs, io::ErrorKind};

use crate::{Error, Result};

/// Sets a boolean below `/proc/sys/net` for the network namespace of the calling thread.
///
/// Where `/proc/sys` is read-only (Sandbar in a container), a setting that is right already is no failure.
pub(crate) fn enable(name: &str) -> Result<()> {
    let path = format!("/proc/sys/net/{name}");
    match fs::read(&path) {
        Ok(value) if value.trim_ascii() == b"1" => Ok(()),
        _ => fs::write(&path, "1")
            .map_err(|error| Error::system(format!("write 1 to {path}"), error)),
    }
}

/// Turns IPv6 off on one interface. Pods have none yet, and an interface with IPv6 would take a default route from
/// any neighbour's router advertisement (CVE-2020-10749).
pub(crate) fn disable_ipv6(interface: &str) -> Result<()> {
    match enable(&format!("ipv6/conf/{interface}/disable_ipv6")) {
        Err(error) if is_missing(&error) => Ok(()), // the kernel has no IPv6 at all
        other => other,
    }
}

/// Turns IPv6 off on every interface that will be made in the calling thread's network namespace.
pub(crate) fn disable_ipv6_of_new_interfaces() -> Result<()> {
    disable_ipv6("default")
}

fn is_missing(error: &Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .is_some_and(|source| source.kind() == ErrorKind::NotFound)
}
