//! A container's cgroup.

use std::time::Duration;

use oci_spec::runtime::{LinuxResources, Spec};
use sandbar_cgroup::{Cgroup, Entry, Hierarchy, Limits};
use serde::{Deserialize, Serialize};

use super::Context;
use super::record::Record;
use crate::failure::{Doing, Failure, Result};

/// How long what is in a cgroup may take to end after SIGKILL, to stop or to go on.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Where the cgroups of containers are whose bundle does not say.
const USUAL: &str = "/sandbar/oci";

/// Where a container's cgroup is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    /// As the specification has it (`config-linux.md`, "Cgroups Path"): absolute, or relative to `own`.
    path: String,
    /// The cgroups of the process that created the container: `/proc/self/cgroup`.
    own: String,
}

impl Place {
    /// Where `spec` asks for the cgroup of the container `id`.
    pub(super) fn asked(spec: &Spec, id: &str) -> Result<Self> {
        let asked = spec.linux().as_ref().and_then(|linux| linux.cgroups_path().as_deref());
        let path = match asked.map(|path| path.to_string_lossy()).filter(|path| !path.is_empty()) {
            Some(path) if path.contains(':') => {
                return Err(Failure::new(format!(
                    "linux.cgroupsPath {path:?}: cgroups of systemd are not supported"
                ))
                .hint("choose cgroupfs as the engine's cgroup manager"));
            }
            Some(path) => path.into_owned(),
            None => format!("{USUAL}/{id}"),
        };
        let own = std::fs::read_to_string("/proc/self/cgroup").doing("read /proc/self/cgroup")?;
        Ok(Self { path, own })
    }

    pub(super) fn cgroup(&self) -> Result<Cgroup> {
        let action = || format!("use linux.cgroupsPath {}", self.path);
        Hierarchy::detect().doing(action())?.place(&self.path, &self.own).doing(action())
    }
}

/// Refuses a cgroup in which somebody else's processes are: it would be ended with the container.
pub(super) fn must_be_free(cgroup: &Cgroup) -> Result<()> {
    if cgroup.is_populated().is_ok_and(|populated| populated) {
        let path = cgroup.path();
        return Err(Failure::new(format!("cannot use the cgroup {path}: it has processes in it")));
    }
    Ok(())
}

/// Makes a container's cgroup with its limits, and opens it for the first process.
pub(super) fn create(context: &Context, cgroup: &Cgroup, spec: &Spec) -> Result<Entry> {
    let action = format!("make the cgroup {}", cgroup.path());
    let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let mut limits = resources.map_or_else(|| Ok(Limits::default()), limits)?;
    if limits.devices.is_none() {
        limits.devices.get_or_insert_default().allow_usual().doing("allow the usual devices")?;
    }
    let created = cgroup.hierarchy().create(cgroup.path(), &limits).doing(&action)?;
    created.told.iter().for_each(|told| context.log.told(&told.to_string()));
    created.cgroup.entry().doing(action)
}

/// The limits that the specification asks for.
pub(super) fn limits(resources: &LinuxResources) -> Result<Limits> {
    let mut limits = Limits::try_from(resources).doing("use linux.resources")?;
    // Nobody asks for the devices of /dev, and nobody can do without.
    if let Some(devices) = &mut limits.devices {
        devices.allow_usual().doing("use linux.resources.devices")?;
    }
    Ok(limits)
}

/// Whether its processes are stopped.
pub(super) fn is_frozen(record: &Record) -> bool {
    record.cgroup.cgroup().is_ok_and(|cgroup| cgroup.is_frozen().unwrap_or(false))
}

/// Ends what is left in the cgroup of a container, and removes it.
pub(super) fn remove(record: &Record) -> Result<()> {
    let cgroup = record.cgroup.cgroup()?;
    if !cgroup.exists() {
        return Ok(());
    }
    let action = || format!("remove the cgroup {}", cgroup.path());
    if cgroup.is_populated().doing(action())? {
        cgroup.kill(PATIENCE).doing(action())?;
    }
    cgroup.remove(PATIENCE).doing(action())
}
