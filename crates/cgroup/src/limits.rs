//! What a cgroup's processes may use.

use std::fmt;
use std::str::FromStr;

use crate::error::Cause;
use crate::{Controller, Result};

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
    /// CPU time in each period.
    pub cpu_quota: Option<CpuQuota>,
    /// Weight against siblings when CPUs are short, in version 1's terms: 2 to 262,144 (others
    /// are brought into this range), 1,024 by default.
    pub cpu_shares: Option<u64>,
    /// The CPUs to run on.
    pub cpuset_cpus: Option<IdList>,
    /// The memory nodes to allocate from.
    pub cpuset_mems: Option<IdList>,
    /// The number of processes and threads.
    pub pids: Option<Pids>,
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
    quota: Ceiling,
    period: u64,
}

impl CpuQuota {
    const DEFAULT_PERIOD: u64 = 100_000;

    /// `quota` of every `period`, both in microseconds.
    ///
    /// # Errors
    /// [`InvalidLimit`](crate::ErrorKind::InvalidLimit) unless the quota is at least 1,000 and the
    /// period 1,000 to 1,000,000, which are the kernel's bounds.
    pub fn new(quota: Ceiling, period: u64) -> Result<Self> {
        let invalid = |limit, value: u64, why| {
            Err(Cause::InvalidLimit { limit, value: format!("{value} µs"), why }.into())
        };
        match quota {
            Ceiling::At(quota) if quota < 1_000 => {
                invalid("CPU quota", quota, "the least is 1,000 µs (0.01 CPUs)")
            }
            _ if !(1_000..=1_000_000).contains(&period) => {
                invalid("CPU period", period, "it must be 1,000 to 1,000,000 µs")
            }
            quota => Ok(Self { quota, period }),
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
    pub fn quota(self) -> Ceiling {
        self.quota
    }

    /// The period, in microseconds.
    #[must_use]
    pub fn period(self) -> u64 {
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
            limit: "CPU or memory node list",
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
        assert_eq!((quota.quota(), quota.period()), (Ceiling::At(150_000), 100_000));
        assert_eq!(CpuQuota::from_nanocpus(10_000_000).unwrap().quota(), Ceiling::At(1_000));
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
