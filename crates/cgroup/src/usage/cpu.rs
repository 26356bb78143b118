//! CPU time.

use crate::processes::keyed;
use crate::{Cgroup, Controller, Result};

/// The kernel counts `cpuacct.stat` in hundredths of a second, whatever its own clock (`USER_HZ`).
const TICK: u64 = 10_000_000;

/// CPU time used, in nanoseconds; `None` for what is not counted here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuUsage {
    /// All of it.
    pub total: Option<u64>,
    /// In programs.
    pub user: Option<u64>,
    /// In the kernel.
    pub system: Option<u64>,
    /// By CPU; empty in version 2.
    pub per_cpu: Vec<u64>,
    /// In programs, by CPU; empty in version 2.
    pub per_cpu_user: Vec<u64>,
    /// In the kernel, by CPU; empty in version 2.
    pub per_cpu_system: Vec<u64>,
    /// Periods of the quota in which there was something to run.
    pub periods: Option<u64>,
    /// Periods in which the quota was used up.
    pub throttled_periods: Option<u64>,
    /// Time spent waiting for the next period.
    pub throttled: Option<u64>,
    /// Periods in which saved time was used.
    pub bursts: Option<u64>,
    /// Saved time used.
    pub burst: Option<u64>,
}

impl Cgroup {
    pub(super) fn cpu_v1(&self) -> Result<CpuUsage> {
        let all = Controller::Cpuacct;
        let ticks = self.read(all, "cpuacct.stat")?.unwrap_or_default();
        let of = |key| keyed(&ticks, key).map(|ticks| ticks.saturating_mul(TICK));
        let stat = self.read(Controller::Cpu, "cpu.stat")?.unwrap_or_default();
        Ok(CpuUsage {
            total: self.number(all, "cpuacct.usage")?,
            user: of("user"),
            system: of("system"),
            per_cpu: self.numbers(all, "cpuacct.usage_percpu")?,
            per_cpu_user: self.numbers(all, "cpuacct.usage_percpu_user")?,
            per_cpu_system: self.numbers(all, "cpuacct.usage_percpu_sys")?,
            periods: keyed(&stat, "nr_periods"),
            throttled_periods: keyed(&stat, "nr_throttled"),
            throttled: keyed(&stat, "throttled_time"),
            bursts: keyed(&stat, "nr_bursts"),
            burst: keyed(&stat, "burst_time"),
        })
    }

    pub(super) fn cpu_v2(&self) -> Result<CpuUsage> {
        Ok(parse_v2(&self.read(Controller::Cpu, "cpu.stat")?.unwrap_or_default()))
    }
}

fn parse_v2(stat: &str) -> CpuUsage {
    let nanoseconds = |key| keyed(stat, key).map(|usec| usec.saturating_mul(1_000));
    CpuUsage {
        total: nanoseconds("usage_usec"),
        user: nanoseconds("user_usec"),
        system: nanoseconds("system_usec"),
        periods: keyed(stat, "nr_periods"),
        throttled_periods: keyed(stat, "nr_throttled"),
        throttled: nanoseconds("throttled_usec"),
        bursts: keyed(stat, "nr_bursts"),
        burst: nanoseconds("burst_usec"),
        ..CpuUsage::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_become_nanoseconds_and_counts_stay() {
        let usage = parse_v2("usage_usec 7\nuser_usec 4\nsystem_usec 3\nnr_periods 2\n");
        assert_eq!(
            (usage.total, usage.user, usage.system),
            (Some(7_000), Some(4_000), Some(3_000))
        );
        assert_eq!((usage.periods, usage.throttled), (Some(2), None));
    }
}
