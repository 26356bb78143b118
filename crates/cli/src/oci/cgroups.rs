//! A container's cgroup.

use std::time::Duration;

use oci_spec::runtime::{LinuxResources, Spec};
use sandbar_cgroup::systemd::{self, Manager, Unit};
use sandbar_cgroup::{Cgroup, Entry, Hierarchy, Limits, Told};
use serde::{Deserialize, Serialize};

use super::Context;
use super::bundle::Bundle;
use super::record::Record;
use super::scope::Scope;
use crate::failure::{Doing, Failure, Result};

/// How long what is in a cgroup may take to end after SIGKILL, to stop or to go on.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Where the cgroups of containers are whose bundle does not say.
const USUAL: &str = "/sandbar/oci";

/// The prefix of systemd's units for them.
const USUAL_PREFIX: &str = "sandbar";

/// Where a container's cgroup is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Place {
    /// As the specification has it (`config-linux.md`, "Cgroups Path"): absolute, or relative to `own`.
    path: String,
    /// The cgroups of the process that created the container: `/proc/self/cgroup`.
    own: String,
    /// The unit of which it is the cgroup, if systemd makes it.
    #[serde(default)]
    unit: Option<Unit>,
    /// Whether that unit was started for this container. One that was not is somebody else's, if there is one.
    #[serde(default)]
    started: bool,
}

impl Place {
    /// Where `spec` asks for the cgroup of the container `id`.
    pub(super) fn asked(context: &Context, spec: &Spec, id: &str) -> Result<Self> {
        let asked = spec.linux().as_ref().and_then(|linux| linux.cgroups_path().as_deref());
        let asked = asked.map(|path| path.to_string_lossy()).filter(|path| !path.is_empty());
        let own = std::fs::read_to_string("/proc/self/cgroup").doing("read /proc/self/cgroup")?;
        if context.systemd_cgroup {
            if !systemd::is_running() {
                return Err(Failure::new(
                    "cannot use --systemd-cgroup: systemd does not run here (no /run/systemd/system)",
                ));
            }
            let asked = asked.unwrap_or_else(|| format!(":{USUAL_PREFIX}:{id}").into());
            let action = || format!("use linux.cgroupsPath {asked} with --systemd-cgroup");
            let unit = Unit::parse(&asked).doing(action())?;
            let path = format!("/{}", unit.path().doing(action())?);
            return Ok(Self { path, own, unit: Some(unit), started: false });
        }
        let path = match asked {
            Some(path) if path.contains(':') => {
                return Err(Failure::new(format!(
                    "linux.cgroupsPath {path:?} is for systemd, which is not asked to make cgroups"
                ))
                .hint(
                    "--systemd-cgroup asks it; or choose cgroupfs as the engine's cgroup manager",
                ));
            }
            Some(path) => path.into_owned(),
            None => format!("{USUAL}/{id}"),
        };
        Ok(Self { path, own, unit: None, started: false })
    }

    /// Lets `entry` lead into `cgroup` where systemd looks for processes, too.
    pub(super) fn lead_into(&self, entry: &mut Entry, cgroup: &Cgroup) -> Result<()> {
        match &self.unit {
            Some(unit) => {
                let action = || format!("use systemd's unit {}", unit.name());
                systemd::lead_into(entry, cgroup).doing(action())
            }
            None => Ok(()),
        }
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

/// A cgroup that was made for a container's first process.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) entry: Entry,
    cgroup: Cgroup,
    /// What keeps the cgroup until the process is in it, and the limits that leave no room for both.
    scope: Option<(Scope, Limits)>,
}

impl Made {
    /// The first process is in it.
    pub(super) fn entered(self) -> Result<()> {
        let Some((scope, limits)) = self.scope else { return Ok(()) };
        scope.leave()?;
        let path = self.cgroup.path();
        self.cgroup.set_limits(&limits).doing(format!("limit the cgroup {path}")).map(|_told| ())
    }
}

/// Makes a container's cgroup with its limits, and opens it for the first process.
pub(super) fn create(
    context: &Context,
    cgroup: &Cgroup,
    bundle: &Bundle,
    place: &mut Place,
) -> Result<Made> {
    let action = format!("make the cgroup {}", cgroup.path());
    let resources = bundle.spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let mut limits = resources.map_or_else(|| Ok(Limits::default()), limits)?;
    if limits.devices.is_none() {
        limits.devices.get_or_insert_default().allow_usual().doing("allow the usual devices")?;
    }
    let mut scope = None;
    if let Some(unit) = &place.unit {
        let last = Limits { pids: limits.pids.take(), ..Limits::default() };
        let started = Scope::start(unit, cgroup, bundle, [&limits, &last])?;
        place.started = true;
        started.must_be_at(&place.path)?;
        scope = Some((started, last));
    }
    let created = cgroup.hierarchy().create(cgroup.path(), &limits).doing(&action)?;
    created.told.iter().for_each(|told| context.log.told(&told.to_string()));
    let mut entry = created.cgroup.entry().doing(action)?;
    place.lead_into(&mut entry, cgroup)?;
    Ok(Made { entry, cgroup: created.cgroup, scope })
}

/// Changes the limits of a container; systemd, if it made the cgroup, learns of them first.
pub(super) fn set_limits(record: &Record, limits: &Limits, action: &str) -> Result<Vec<Told>> {
    let cgroup = record.cgroup.cgroup()?;
    let Some(unit) = &record.cgroup.unit else { return cgroup.set_limits(limits).doing(action) };
    let (new, old) = systemd::present_properties(&cgroup, limits).doing(action)?;
    let manager = Manager::connect().doing(action)?;
    manager.set(unit, &new).doing(action)?;
    let set = cgroup.set_limits(limits).doing(action);
    if set.is_err() {
        // Why the limits can't be set is what matters; the files have their old values again.
        let _ = manager.set(unit, &old);
    }
    set
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
    let place = &record.cgroup;
    let cgroup = place.cgroup()?;
    let action = || format!("remove the cgroup {}", cgroup.path());
    let populated = cgroup.is_populated().doing(action())?;
    if let Some(unit) = &place.unit {
        if !place.started && populated {
            return Ok(());
        }
        if populated {
            cgroup.kill(PATIENCE).doing(action())?;
        }
        if place.started {
            Manager::connect().and_then(|manager| manager.stop(unit)).doing(action())?;
        }
    } else if populated {
        cgroup.kill(PATIENCE).doing(action())?;
    }
    cgroup.remove(PATIENCE).doing(action())
}
