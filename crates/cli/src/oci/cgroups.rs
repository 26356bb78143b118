//! A container's cgroup.

use std::time::Duration;

use oci_spec::runtime::Spec;
use sandbar_cgroup::{Cgroup, CgroupPath, Entry, Hierarchy, Limits};

use super::Context;
use super::record::Record;
use crate::failure::{Doing, Failure, Result};

/// How long what is in a cgroup may take to end after SIGKILL, to stop or to go on.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Where the cgroups of containers are whose bundle does not say.
const USUAL: &str = "sandbar/oci";

/// The cgroup that `spec` asks for (`config-linux.md`, "Cgroups Path"), below each hierarchy's mount point.
pub(super) fn path(spec: &Spec, id: &str) -> Result<CgroupPath> {
    let asked = spec.linux().as_ref().and_then(|linux| linux.cgroups_path().as_deref());
    let path = match asked.and_then(|path| path.to_str()).filter(|path| !path.is_empty()) {
        Some(path) => path.trim_matches('/').to_owned(),
        None => format!("{USUAL}/{id}"),
    };
    CgroupPath::new(path).doing("use linux.cgroupsPath")
}

/// Makes the container's cgroup with its limits, and opens it for the first process.
pub(super) fn create(context: &Context, path: &CgroupPath, spec: &Spec) -> Result<Entry> {
    let action = format!("make the cgroup {path}");
    let hierarchy = Hierarchy::detect().doing(&action)?;
    if hierarchy.open(path).is_populated().is_ok_and(|populated| populated) {
        return Err(Failure::new(format!("cannot {action}: it exists and has processes in it")));
    }
    let resources = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let limits = match resources {
        Some(resources) => limits(resources)?,
        None => Limits::default(),
    };
    let created = hierarchy.create(path, &limits).doing(&action)?;
    created.told.iter().for_each(|told| context.log.told(&told.to_string()));
    created.cgroup.entry().doing(action)
}

/// The limits that the specification asks for.
pub(super) fn limits(resources: &oci_spec::runtime::LinuxResources) -> Result<Limits> {
    use sandbar_cgroup::Ceiling;
    Ok(Limits {
        memory: resources
            .memory()
            .as_ref()
            .and_then(|memory| memory.limit())
            .map(|limit| u64::try_from(limit).map_or(Ceiling::Unlimited, Ceiling::At)),
        ..Limits::default()
    })
}

/// The cgroup of a container, if it has one.
pub(super) fn of(record: &Record) -> Option<Cgroup> {
    let path = CgroupPath::new(record.cgroup.as_deref()?).ok()?;
    Some(Hierarchy::detect().ok()?.open(&path))
}

/// The cgroup of a container that is to be acted on.
pub(super) fn required(record: &Record) -> Result<Cgroup> {
    of(record).ok_or_else(|| Failure::new(format!("container {} has no cgroup", record.id)))
}

/// Whether its processes are stopped.
pub(super) fn is_frozen(record: &Record) -> bool {
    of(record).is_some_and(|cgroup| cgroup.is_frozen().unwrap_or(false))
}

/// Ends what is left in the cgroup of a container, and removes it.
pub(super) fn remove(record: &Record) -> Result<()> {
    let Some(cgroup) = of(record).filter(Cgroup::exists) else { return Ok(()) };
    let action = || format!("remove the cgroup {}", cgroup.path());
    if cgroup.is_populated().doing(action())? {
        cgroup.kill(PATIENCE).doing(action())?;
    }
    cgroup.remove(PATIENCE).doing(action())
}
