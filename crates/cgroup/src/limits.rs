//! What a cgroup's processes may use.

use std::fmt;
use std::str::FromStr;

use crate::error::Cause;
use crate::{
    Controller, DeviceList, HugePages, IoLimits, NetworkPriority, RdmaLimit, Result, Unified,
};

/// Limits to set; what is `None` stays as it is (for a new cgroup: unlimited).
///
/// What is asked for and can't be had is an error of kind
/// [`NoController`](crate::ErrorKind::NoController); only a [`Pids::Default`] is given up with a
/// [`Told`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory, in bytes.
    pub memory: Option<Ceiling>,
    /// Memory and swap together, in bytes, as version 1 and the OCI runtime specification count.
    /// A number needs [`memory`](Self::memory) to be one too, and not above it; equal to it means
    /// no swap.
    pub memory_swap: Option<Ceiling>,
    /// Memory, in bytes, that is not reclaimed first when the machine runs short (`memory.low`;
    /// version 1: `memory.soft_limit_in_bytes`).
    pub memory_reservation: Option<Ceiling>,
    /// How readily this cgroup's memory is swapped out, 0 to 100. Version 1 only.
    pub memory_swappiness: Option<u64>,
    /// Whether processes wait for memory at the limit instead of being ended. Version 1 only;
    /// `Some(false)` is true of version 2 anyway.
    pub oom_killer_disabled: Option<bool>,
    /// Whether a memory limit that is not above what is in use is refused. Version 1's kernel does
    /// so by itself; version 2's ends processes until the rest fits.
    pub memory_checked: bool,
    /// Kernel memory, in bytes. Kernels have given up this limit: it is [told](Told) and not set.
    pub kernel_memory: Option<Ceiling>,
    /// Memory of TCP buffers, in bytes; as [`kernel_memory`](Self::kernel_memory).
    pub kernel_memory_tcp: Option<Ceiling>,
    /// CPU time in each period.
    pub cpu_quota: Option<CpuQuota>,
    /// CPU time, in microseconds, that may be saved up and used above the quota; not more than the
    /// quota.
    pub cpu_burst: Option<u64>,
    /// Whether to run only when the CPU has nothing else to do (`SCHED_IDLE`, for all at once).
    pub cpu_idle: Option<bool>,
    /// Realtime CPU time in each realtime period, in microseconds; -1 is unlimited. Version 1 only.
    pub cpu_realtime_runtime: Option<i64>,
    /// The realtime period, in microseconds. Version 1 only.
    pub cpu_realtime_period: Option<u64>,
    /// Weight against siblings when CPUs are short, in version 1's terms: 2 to 262,144 (others
    /// are brought into this range), 1,024 by default.
    pub cpu_shares: Option<u64>,
    /// The CPUs to run on.
    pub cpuset_cpus: Option<IdList>,
    /// The memory nodes to allocate from.
    pub cpuset_mems: Option<IdList>,
    /// The number of processes and threads.
    pub pids: Option<Pids>,
    /// Block device input and output.
    pub io: IoLimits,
    /// Huge pages, by size.
    pub huge_pages: Vec<HugePages>,
    /// RDMA devices.
    pub rdma: Vec<RdmaLimit>,
    /// The class identifier of network packets (`net_cls`). Version 1 only.
    pub network_class: Option<u32>,
    /// The priority of network packets by interface (`net_prio`). Version 1 only.
    pub network_priorities: Vec<NetworkPriority>,
    /// Files of version 2 and what to write to them, after all else. Version 2 only.
    pub unified: Vec<Unified>,
    /// Which devices may be used; `None` leaves this as it is (for a new cgroup: all that the
    /// cgroup above may use), an empty list denies all.
    pub devices: Option<DeviceList>,
}

/// The most of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// As much as the parent cgroup and the machine have.
    Unlimited,
    /// This much.
    At(u64),
}

/// A limit on the number of processes and threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pids {
    /// Asked for: without the `pids` controller, it is an error.
    Asked(Ceiling),
    /// A default of ours: without the `pids` controller, it is told and left out.
    Default(u64),
}

/// CPU time that may be used in each period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuQuota {
    quota: Option<Ceiling>,
    period: Option<u64>,
}

impl CpuQuota {
    const DEFAULT_PERIOD: u64 = 100_000;

    /// `quota` of every `period`, both in microseconds.
    ///
    /// # Errors
    /// [`InvalidLimit`](crate::ErrorKind::InvalidLimit) unless the quota is at least 1,000 and the
    /// period 1,000 to 1,000,000, which are the kernel's bounds.
    pub fn new(quota: Ceiling, period: u64) -> Result<Self> {
        Self::partly(Some(quota), Some(period))
    }

    /// As [`new`](Self::new); what is `None` stays as it is (for a new cgroup: unlimited, and a
    /// period of 100,000).
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn partly(quota: Option<Ceiling>, period: Option<u64>) -> Result<Self> {
        let invalid = |limit: &'static str, value: u64, why| {
            let value = format!("{value} µs");
            Err(Cause::InvalidLimit { limit: limit.into(), value, why }.into())
        };
        match (quota, period) {
            (Some(Ceiling::At(quota)), _) if quota < 1_000 => {
                invalid("CPU quota", quota, "the least is 1,000 µs (0.01 CPUs)")
            }
            (_, Some(period)) if !(1_000..=1_000_000).contains(&period) => {
                invalid("CPU period", period, "it must be 1,000 to 1,000,000 µs")
            }
            (quota, period) => Ok(Self { quota, period }),
        }
    }

    /// So many billionths of a CPU: 1,500,000,000 are one and a half CPUs.
    ///
    /// # Errors
    /// [`InvalidLimit`](crate::ErrorKind::InvalidLimit) below 10,000,000 (0.01 CPUs).
    pub fn from_nanocpus(nanocpus: u64) -> Result<Self> {
        Self::new(
            Ceiling::At(nanocpus / (1_000_000_000 / Self::DEFAULT_PERIOD)),
            Self::DEFAULT_PERIOD,
        )
    }

    /// CPU time in each period, in microseconds.
    #[must_use]
    pub fn quota(self) -> Option<Ceiling> {
        self.quota
    }

    /// The period, in microseconds.
    #[must_use]
    pub fn period(self) -> Option<u64> {
        self.period
    }
}

/// Numbers of CPUs or memory nodes: `0-3,7`. See `cpuset(7)`, "List format".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdList(String);

impl IdList {
    /// The list as the kernel reads it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IdList {
    type Err = crate::Error;

    fn from_str(list: &str) -> Result<Self> {
        let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
            true => text.parse::<u32>().ok(),
            false => None,
        };
        let is_range = |item: &str| match item.split_once('-') {
            Some((low, high)) => {
                number(low).zip(number(high)).is_some_and(|(low, high)| low <= high)
            }
            None => number(item).is_some(),
        };
        if list.split(',').all(is_range) {
            return Ok(Self(list.to_owned()));
        }
        let why = "it must be numbers and ranges of them, like 0-3,7";
        Err(Cause::InvalidLimit {
            limit: "CPU or memory node list".into(),
            value: format!("{list:?}"),
            why,
        }
        .into())
    }
}

impl fmt::Display for IdList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that was not asked for and was done without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Told {
    /// The default limit on processes could not be set: there is no `pids` controller.
    NoPidsLimit {
        /// The limit left out.
        limit: u64,
    },
    /// The controller can't be had, so its statistics are missing.
    NotCounted(Controller),
    /// A limit on kernel memory was asked for, which kernels have given up.
    NoKernelMemoryLimit,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPidsLimit { limit } => write!(
                f,
                "no cgroup controller pids: the default limit of {limit} processes is not set"
            ),
            Self::NotCounted(controller) => {
                write!(f, "no cgroup controller {controller}: its statistics are missing")
            }
            Self::NoKernelMemoryLimit => {
                f.write_str("limits on kernel memory are obsolete: none is set")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn nanocpus_become_a_quota_of_the_usual_period() {
        let quota = CpuQuota::from_nanocpus(1_500_000_000).unwrap();
        assert_eq!((quota.quota(), quota.period()), (Some(Ceiling::At(150_000)), Some(100_000)));
        assert_eq!(CpuQuota::from_nanocpus(10_000_000).unwrap().quota(), Some(Ceiling::At(1_000)));
        let error = CpuQuota::from_nanocpus(9_999_999).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidLimit);
        assert_eq!(error.to_string(), "CPU quota of 999 µs: the least is 1,000 µs (0.01 CPUs)");
        assert!(CpuQuota::new(Ceiling::Unlimited, 999).is_err());
        assert!(CpuQuota::new(Ceiling::At(u64::MAX), 1_000_001).is_err());
    }

    #[test]
    fn lists_of_cpus() {
        for good in ["0", "0-3", "0-3,7,9-9"] {
            assert_eq!(good.parse::<IdList>().unwrap().as_str(), good);
        }
        for bad in
            ["", ",", "0,", "3-1", "-1", "1-", "+1", "a", "0\n1", " 0", "0-1-2", "99999999999"]
        {
            assert_eq!(
                bad.parse::<IdList>().unwrap_err().kind(),
                ErrorKind::InvalidLimit,
                "{bad:?}"
            );
        }
    }
}
