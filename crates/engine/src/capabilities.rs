//! Which capabilities a container gets.

use std::collections::BTreeSet;

use oci_spec::runtime::{Capability, LinuxCapabilities};

use crate::error::{Error, Kind};
use crate::options::ContainerOptions;

/// What a container gets unless it asks otherwise: what Podman gives.
const DEFAULT: [Capability; 11] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::NetBindService,
    Capability::Setfcap,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysChroot,
];

/// The capabilities of a container with `options`. Inheritable and ambient ones it has none.
pub(crate) fn of(options: &ContainerOptions) -> Result<LinuxCapabilities, Error> {
    let mut set: BTreeSet<u8> = DEFAULT.iter().map(|&capability| number(capability)).collect();
    for name in &options.cap_drop {
        match parse(name)? {
            None => set.clear(),
            Some(capability) => {
                set.remove(&number(capability));
            }
        }
    }
    for name in &options.cap_add {
        match parse(name)? {
            None => set.extend(ALL.iter().map(|&capability| number(capability))),
            Some(capability) => {
                set.insert(number(capability));
            }
        }
    }
    let set = || {
        let chosen = ALL.iter().copied().filter(|&capability| set.contains(&number(capability)));
        Some(chosen.collect())
    };
    let mut capabilities = LinuxCapabilities::default();
    capabilities
        .set_bounding(set())
        .set_effective(set())
        .set_permitted(set())
        .set_inheritable(Some([].into()))
        .set_ambient(Some([].into()));
    Ok(capabilities)
}

/// No capability at all.
pub(crate) fn none() -> LinuxCapabilities {
    let mut capabilities = LinuxCapabilities::default();
    capabilities
        .set_bounding(Some([].into()))
        .set_effective(Some([].into()))
        .set_permitted(Some([].into()))
        .set_inheritable(Some([].into()))
        .set_ambient(Some([].into()));
    capabilities
}

/// A capability by name, with or without `CAP_`; `None` for `ALL`.
fn parse(name: &str) -> Result<Option<Capability>, Error> {
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if bare == "ALL" {
        return Ok(None);
    }
    ALL.iter().copied().find(|known| known.to_string() == bare).map(Some).ok_or_else(|| {
        Error::new(Kind::Invalid, format!("capability '{name}': there is none of that name"))
    })
}

/// Where a capability is among all: capabilities have no order of their own.
fn number(of: Capability) -> u8 {
    let index = ALL.iter().position(|&known| known == of);
    index.and_then(|index| u8::try_from(index).ok()).unwrap_or(u8::MAX)
}

/// All capabilities of Linux 6.18 (`capabilities(7)`).
const ALL: [Capability; 41] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::DacReadSearch,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setpcap,
    Capability::LinuxImmutable,
    Capability::NetBindService,
    Capability::NetBroadcast,
    Capability::NetAdmin,
    Capability::NetRaw,
    Capability::IpcLock,
    Capability::IpcOwner,
    Capability::SysModule,
    Capability::SysRawio,
    Capability::SysChroot,
    Capability::SysPtrace,
    Capability::SysPacct,
    Capability::SysAdmin,
    Capability::SysBoot,
    Capability::SysNice,
    Capability::SysResource,
    Capability::SysTime,
    Capability::SysTtyConfig,
    Capability::Mknod,
    Capability::Lease,
    Capability::AuditWrite,
    Capability::AuditControl,
    Capability::Setfcap,
    Capability::MacOverride,
    Capability::MacAdmin,
    Capability::Syslog,
    Capability::WakeAlarm,
    Capability::BlockSuspend,
    Capability::AuditRead,
    Capability::Perfmon,
    Capability::Bpf,
    Capability::CheckpointRestore,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Source;

    fn with(add: &[&str], drop: &[&str]) -> Result<usize, Error> {
        let mut options = ContainerOptions::new(Source::Image("x".into()));
        options.cap_add = add.iter().map(|&name| name.to_owned()).collect();
        options.cap_drop = drop.iter().map(|&name| name.to_owned()).collect();
        Ok(of(&options)?.bounding().as_ref().unwrap().len())
    }

    #[test]
    fn capabilities_are_added_and_dropped_by_name() {
        assert_eq!(with(&[], &[]).unwrap(), 11);
        assert_eq!(with(&["NET_ADMIN"], &["cap_chown", "KILL"]).unwrap(), 10);
        assert_eq!(with(&["all"], &[]).unwrap(), 41);
        assert_eq!(with(&["NET_RAW"], &["ALL"]).unwrap(), 1);
        assert!(with(&["NOPE"], &[]).is_err());
    }

    #[test]
    fn row_24_nothing_is_inheritable() {
        let options = ContainerOptions::new(Source::Image("x".into()));
        let capabilities = of(&options).unwrap();
        assert_eq!(
            capabilities.inheritable().as_ref().map(std::collections::HashSet::len),
            Some(0)
        );
        assert_eq!(capabilities.ambient().as_ref().map(std::collections::HashSet::len), Some(0));
    }
}
