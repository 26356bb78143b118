//! The few settings of the network stack that netlink does not reach.
//!
//! Nothing is written that is right already, and what every pod needs is written where it takes no lock: a write to
//! one interface's setting that finds the kernel's network lock (RTNL) taken is begun again, by the kernel and without
//! a pause, until it is free. With many pods starting and ending, that kept two processors busy for a minute.

use std::{fmt, fs, io};

use crate::{Error, Result};

/// A setting of the host that was changed, as sysctl(8) names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Such as `net.ipv4.ip_forward`; an interface's name is a part of some.
    pub setting: String,
    /// Its value before.
    pub before: String,
    /// Its value now.
    pub after: &'static str,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} (was {})", self.setting, self.after, self.before)
    }
}

/// A setting of the host that a bridge depends on, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Such as `net.ipv4.ip_forward`.
    pub name: String,
    /// Its value; `None` where there is no such setting (yet).
    pub value: Option<String>,
    /// What [`Bridge::ensure`](crate::Bridge::ensure) makes it; `None` for one that is left as it is.
    pub needed: Option<&'static str>,
}

impl Setting {
    /// Whether it is as it is needed. All that are needed are switches, for which any number but 0 is on.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.needed.is_none() || self.value.as_ref().is_some_and(|value| value != "0")
    }

    pub(crate) fn read(path: &str, needed: Option<&'static str>) -> Self {
        Self { name: name(path), value: read(path).ok(), needed }
    }
}

/// Why pods have no IPv6 on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutIpv6 {
    /// The kernel has no IPv6.
    Kernel,
    /// `net.ipv6.conf.all.disable_ipv6` is set.
    Disabled,
}

impl fmt::Display for WithoutIpv6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "the kernel has no IPv6",
            Self::Disabled => "net.ipv6.conf.all.disable_ipv6 is set",
        })
    }
}

/// Why the calling thread's network namespace has no IPv6; `None` where it has.
#[must_use]
pub fn without_ipv6() -> Option<WithoutIpv6> {
    match read("ipv6/conf/all/disable_ipv6") {
        Err(_) => Some(WithoutIpv6::Kernel),
        Ok(value) => (value == "1").then_some(WithoutIpv6::Disabled),
    }
}

/// The value of a setting below `/proc/sys/net` of the calling thread's network namespace.
pub(crate) fn read(name: &str) -> io::Result<String> {
    let mut value = fs::read_to_string(path(name))?;
    value.truncate(value.trim_end().len());
    Ok(value)
}

/// Sets a setting below `/proc/sys/net` of the calling thread's network namespace; tells whether it had to.
///
/// Where `/proc/sys` is read-only (Sandbar in a container), a setting that is right already is no failure.
pub(crate) fn set(name: &str, value: &'static str) -> Result<Option<Change>> {
    let before = read(name);
    if before.as_ref().is_ok_and(|before| before == value) {
        return Ok(None);
    }
    let path = path(name);
    fs::write(&path, value)
        .map_err(|error| Error::system(format!("write {value} to {path}"), error))?;
    Ok(Some(Change { setting: self::name(name), before: before.unwrap_or_default(), after: value }))
}

/// As [`set`]; a kernel without the setting has nothing to set.
pub(crate) fn set_if_there(name: &str, value: &'static str) -> Result<Option<Change>> {
    match set(name, value) {
        Err(error) if is_missing(&error) => Ok(None),
        other => other,
    }
}

/// Lets the host forward IPv6. From then on the kernel would no longer listen to routers, and the host lose its own
/// default route: so first those interfaces are told to go on (`accept_ra` 2) that listen now.
pub(crate) fn forward_ipv6(except: &str) -> Result<Vec<Change>> {
    const FORWARDING: &str = "ipv6/conf/all/forwarding";
    let mut changes = Vec::new();
    if read(FORWARDING).is_ok_and(|value| value == "1") {
        return Ok(changes);
    }
    let conf = path("ipv6/conf");
    let entries =
        fs::read_dir(&conf).map_err(|error| Error::system(format!("list {conf}"), error))?;
    for name in entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let setting = |setting| format!("ipv6/conf/{name}/{setting}");
        let is = |which, value| read(&setting(which)).is_ok_and(|found| found == value);
        let is_interface = !["all", "default", "lo", except].contains(&name.as_str());
        if is_interface && is("accept_ra", "1") && is("forwarding", "0") {
            changes.extend(set_if_there(&setting("accept_ra"), "2")?);
        }
    }
    changes.extend(set(FORWARDING, "1")?);
    Ok(changes)
}

/// Has an interface hear no routers. (To turn IPv6 off there takes the lock.)
pub(crate) fn ignore_routers(interface: &str) -> Result<()> {
    set_if_there(&format!("ipv6/conf/{interface}/accept_ra"), "0").map(drop)
}

/// Prepares the interface that is made next in the calling thread's network namespace.
///
/// With IPv6, it neither takes addresses and routes from a router's advertisements, which any neighbour can send
/// (CVE-2020-10749), nor waits for its addresses to be nobody else's. Without, it has nothing that could.
pub(crate) fn prepare_interface(has_ipv6: bool) -> Result<()> {
    const DEFAULT: &str = "ipv6/conf/default";
    let settings: &[(&str, &'static str)] = if has_ipv6 {
        &[("accept_ra", "0"), ("autoconf", "0"), ("accept_dad", "0"), ("disable_ipv6", "0")]
    } else {
        &[("disable_ipv6", "1")]
    };
    for (setting, value) in settings {
        set_if_there(&format!("{DEFAULT}/{setting}"), value)?;
    }
    Ok(())
}

/// As sysctl(8) has it: with dots for slashes, and slashes for an interface's dots.
fn name(path: &str) -> String {
    let swapped = path.chars().map(|c| match c {
        '/' => '.',
        '.' => '/',
        other => other,
    });
    format!("net.{}", swapped.collect::<String>())
}

fn path(name: &str) -> String {
    format!("/proc/sys/net/{name}")
}

fn is_missing(error: &Error) -> bool {
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|source| source.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_named_as_sysctl_does() {
        assert_eq!(name("ipv4/ip_forward"), "net.ipv4.ip_forward");
        assert_eq!(name("ipv6/conf/eth0.7/accept_ra"), "net.ipv6.conf.eth0/7.accept_ra");
    }
}
