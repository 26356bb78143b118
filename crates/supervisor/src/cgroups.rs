//! Which cgroup is whose.

use sandbar_cgroup::{
    Ceiling, CgroupPath, Controller, CpuQuota, DeviceList, Hierarchy, Limits, Pids, Result, Version,
};
use sandbar_spec::{ContainerId, PodId};

/// The cgroup above all of Sandbar's.
const TOP: &str = "sandbar";

/// How many processes and threads a container may have unless it asks.
const DEFAULT_PIDS: u64 = 2048;

/// The cgroup of all supervisors.
///
/// # Errors
/// None in practice: the path is valid.
pub fn supervisors_cgroup() -> Result<CgroupPath> {
    CgroupPath::new(format!("{TOP}/supervisors"))
}

/// The cgroup of a pod, above those of its containers.
///
/// # Errors
/// None in practice: an id is a valid path.
pub fn pod_cgroup(pod: &PodId) -> Result<CgroupPath> {
    CgroupPath::new(format!("{TOP}/{pod}"))
}

/// The cgroup of a container.
///
/// # Errors
/// None in practice: an id is a valid path.
pub fn container_cgroup(pod: &PodId, container: &ContainerId) -> Result<CgroupPath> {
    pod_cgroup(pod)?.join(container.as_str())
}

/// A container's limits as cgroups have them, and the devices that every container may use.
pub(crate) fn limits(hierarchy: &Hierarchy, asked: &sandbar_spec::Limits) -> Result<Limits> {
    let mut devices = DeviceList::default();
    devices.allow_usual()?;
    // Version 2 needs no controller for them. In version 1, without one, a container still has no nodes of others.
    let has_devices = hierarchy.version() == Version::V2
        || hierarchy.controllers()?.contains(Controller::Devices);
    Ok(Limits {
        devices: has_devices.then_some(devices),
        memory: asked.memory.map(|bytes| Ceiling::At(bytes.0)),
        memory_swap: asked.memory_swap.map(|bytes| Ceiling::At(bytes.0)),
        cpu_quota: asked.nano_cpus.map(CpuQuota::from_nanocpus).transpose()?,
        cpu_shares: asked.cpu_shares,
        pids: Some(match asked.pids {
            None => Pids::Default(DEFAULT_PIDS),
            Some(0) => Pids::Asked(Ceiling::Unlimited),
            Some(most) => Pids::Asked(Ceiling::At(most)),
        }),
        ..Limits::default()
    })
}
