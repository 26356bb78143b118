//! Limits from `linux.resources` of an OCI runtime configuration, as runc reads it.
//!
//! See "Control groups" in
//! <https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md>. A zero of memory,
//! CPU or processes says nothing, and -1 is unlimited. The devices that a runtime allows beyond
//! those asked for are the caller's to add, with [`DeviceList::extend`].

use oci_spec::runtime::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxDeviceType, LinuxMemory, LinuxResources,
    LinuxThrottleDevice,
};

use crate::error::Cause;
use crate::{
    BlockDevice, Ceiling, CpuQuota, DeviceKind, DeviceList, DeviceRule, Error, HugePages, IdList,
    IoLimits, IoThrottle, IoWeight, Limits, NetworkPriority, Pids, RdmaLimit, Result, Throttled,
    Unified,
};

impl TryFrom<&LinuxResources> for Limits {
    type Error = Error;

    /// # Errors
    /// [`InvalidLimit`](crate::ErrorKind::InvalidLimit), naming the field.
    fn try_from(asked: &LinuxResources) -> Result<Self> {
        let mut limits = Self::default();
        if let Some(memory) = asked.memory() {
            limits.take_memory(memory)?;
        }
        if let Some(cpu) = asked.cpu() {
            limits.take_cpu(cpu)?;
        }
        if let Some(pids) = asked.pids() {
            limits.pids = match pids.limit() {
                0 => None,
                limit => {
                    Some(Pids::Asked(u64::try_from(limit).map_or(Ceiling::Unlimited, Ceiling::At)))
                }
            };
        }
        if let Some(io) = asked.block_io() {
            limits.io = block_io(io)?;
        }
        limits.take_lists(asked)?;
        if let Some(rules) = asked.devices() {
            limits.devices = Some(devices(rules)?);
        }
        Ok(limits)
    }
}

impl Limits {
    fn take_memory(&mut self, asked: &LinuxMemory) -> Result<()> {
        self.memory = ceiling("memory.limit", asked.limit())?;
        self.memory_swap = ceiling("memory.swap", asked.swap())?;
        self.memory_reservation = ceiling("memory.reservation", asked.reservation())?;
        self.kernel_memory = ceiling("memory.kernel", asked.kernel())?;
        self.kernel_memory_tcp = ceiling("memory.kernelTCP", asked.kernel_tcp())?;
        self.memory_swappiness = asked.swappiness();
        self.oom_killer_disabled = asked.disable_oom_killer();
        self.memory_checked = asked.check_before_update().unwrap_or_default();
        if asked.use_hierarchy() == Some(false) {
            let why = "limits always bind the cgroups below, too";
            return Err(invalid("memory.useHierarchy", "false", why));
        }
        Ok(())
    }

    fn take_cpu(&mut self, asked: &LinuxCpu) -> Result<()> {
        self.cpu_shares = asked.shares().filter(|shares| *shares != 0);
        let quota = match asked.quota() {
            // A negative quota, whichever, is none.
            Some(quota) if quota < 0 => Some(Ceiling::Unlimited),
            quota => ceiling("cpu.quota", quota)?,
        };
        let period = asked.period().filter(|period| *period != 0);
        if quota.is_some() || period.is_some() {
            let quota = CpuQuota::partly(quota, period);
            self.cpu_quota = Some(quota.map_err(|error| in_field("cpu", error))?);
        }
        self.cpu_burst = asked.burst();
        self.cpu_idle = match asked.idle() {
            None => None,
            Some(0) => Some(false),
            Some(1) => Some(true),
            Some(other) => return Err(invalid("cpu.idle", &other.to_string(), "it is 0 or 1")),
        };
        self.cpu_realtime_runtime = asked.realtime_runtime().filter(|runtime| *runtime != 0);
        self.cpu_realtime_period = asked.realtime_period().filter(|period| *period != 0);
        self.cpuset_cpus = ids("cpu.cpus", asked.cpus().as_deref())?;
        self.cpuset_mems = ids("cpu.mems", asked.mems().as_deref())?;
        Ok(())
    }

    fn take_lists(&mut self, asked: &LinuxResources) -> Result<()> {
        for (at, pages) in asked.hugepage_limits().iter().flatten().enumerate() {
            let field = format!("hugepageLimits[{at}]");
            let ceiling = match pages.limit() {
                -1 => Ceiling::Unlimited,
                limit => Ceiling::At(natural(&format!("{field}.limit"), limit)?),
            };
            let pages = HugePages::new(pages.page_size(), ceiling);
            self.huge_pages.push(pages.map_err(|error| in_field(&field, error))?);
        }
        if let Some(network) = asked.network() {
            self.network_class = network.class_id();
            for (at, of) in network.priorities().iter().flatten().enumerate() {
                let field = format!("network.priorities[{at}]");
                let priority = NetworkPriority::new(of.name(), of.priority());
                self.network_priorities.push(priority.map_err(|error| in_field(&field, error))?);
            }
        }
        // The maps have no order; one is made, so that a failure is the same each time.
        for (device, of) in sorted(asked.rdma().iter().flatten()) {
            let most = |n: Option<u32>| n.map(|n| Ceiling::At(n.into()));
            let limit = RdmaLimit::new(device, most(of.hca_handles()), most(of.hca_objects()));
            self.rdma.push(limit.map_err(|error| in_field("rdma", error))?);
        }
        for (file, value) in sorted(asked.unified().iter().flatten()) {
            let unified = Unified::new(file, value);
            self.unified.push(unified.map_err(|error| in_field("unified", error))?);
        }
        Ok(())
    }
}

fn sorted<'a, V>(map: impl Iterator<Item = (&'a String, V)>) -> Vec<(&'a String, V)> {
    let mut all: Vec<_> = map.collect();
    all.sort_by_key(|(name, _)| *name);
    all
}

fn block_io(asked: &LinuxBlockIo) -> Result<IoLimits> {
    let unless_zero = |weight: Option<u16>| weight.filter(|weight| *weight != 0);
    let mut io = IoLimits {
        weight: unless_zero(asked.weight()),
        leaf_weight: unless_zero(asked.leaf_weight()),
        ..IoLimits::default()
    };
    for (at, of) in asked.weight_device().iter().flatten().enumerate() {
        io.devices.push(IoWeight {
            device: block_device(&format!("blockIO.weightDevice[{at}]"), of.major(), of.minor())?,
            weight: unless_zero(of.weight()),
            leaf_weight: unless_zero(of.leaf_weight()),
        });
    }
    let mut throttle = |name: &str, what, list: &Option<Vec<LinuxThrottleDevice>>| {
        for (at, of) in list.iter().flatten().enumerate() {
            let field = format!("blockIO.{name}[{at}]");
            let device = block_device(&field, of.major(), of.minor())?;
            io.throttles.push(IoThrottle { device, what, rate: of.rate() });
        }
        Ok::<_, Error>(())
    };
    use Throttled::{ReadBytes, Reads, WriteBytes, Writes};
    throttle("throttleReadBpsDevice", ReadBytes, asked.throttle_read_bps_device())?;
    throttle("throttleWriteBpsDevice", WriteBytes, asked.throttle_write_bps_device())?;
    throttle("throttleReadIOPSDevice", Reads, asked.throttle_read_iops_device())?;
    throttle("throttleWriteIOPSDevice", Writes, asked.throttle_write_iops_device())?;
    Ok(io)
}

fn block_device(field: &str, major: i64, minor: i64) -> Result<BlockDevice> {
    let number = |name, number| device_number(&format!("{field}.{name}"), number);
    Ok(BlockDevice { major: number("major", major)?, minor: number("minor", minor)? })
}

fn devices(asked: &[LinuxDeviceCgroup]) -> Result<DeviceList> {
    let mut rules = Vec::with_capacity(asked.len());
    for (at, of) in asked.iter().enumerate() {
        rules.push(device_rule(&format!("devices[{at}]"), of)?);
    }
    DeviceList::new(&rules).map_err(|error| in_field("devices", error))
}

fn device_rule(field: &str, asked: &LinuxDeviceCgroup) -> Result<DeviceRule> {
    let kind = match asked.typ() {
        None | Some(LinuxDeviceType::A) => DeviceKind::All,
        Some(LinuxDeviceType::B) => DeviceKind::Block,
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => DeviceKind::Char,
        Some(LinuxDeviceType::P) => {
            return Err(invalid(&format!("{field}.type"), "p", "cgroups know no FIFOs"));
        }
    };
    let number = |name, number: Option<i64>| match number {
        None | Some(-1) => Ok(None),
        Some(number) => device_number(&format!("{field}.{name}"), number).map(Some),
    };
    // It is optional, and then all that there is: as runc takes it.
    let access = asked.access().as_deref().unwrap_or("rwm");
    Ok(DeviceRule {
        allow: asked.allow(),
        kind,
        major: number("major", asked.major())?,
        minor: number("minor", asked.minor())?,
        access: access.parse().map_err(|error| in_field(field, error))?,
    })
}

fn device_number(field: &str, number: i64) -> Result<u32> {
    u32::try_from(number)
        .map_err(|_range| invalid(field, &number.to_string(), "it is no device's number"))
}

fn ids(field: &str, list: Option<&str>) -> Result<Option<IdList>> {
    let list = list.filter(|list| !list.is_empty()).map(str::parse);
    list.transpose().map_err(|error| in_field(field, error))
}

/// A number of which 0 says nothing and -1 is unlimited.
fn ceiling(field: &str, number: Option<i64>) -> Result<Option<Ceiling>> {
    match number {
        None | Some(0) => Ok(None),
        Some(-1) => Ok(Some(Ceiling::Unlimited)),
        Some(number) => natural(field, number).map(|number| Some(Ceiling::At(number))),
    }
}

fn natural(field: &str, number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_negative| {
        invalid(field, &number.to_string(), "it is negative, and not -1 for unlimited")
    })
}

fn invalid(field: &str, value: &str, why: &'static str) -> Error {
    let limit = format!("linux.resources.{field}").into();
    Cause::InvalidLimit { limit, value: value.to_owned(), why }.into()
}

fn in_field(field: &str, error: Error) -> Error {
    error.in_field(&format!("linux.resources.{field}"))
}

#[cfg(test)]
mod tests;
