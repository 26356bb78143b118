//! Limits as the kernel's files take them: the conversions between the versions' terms.

use crate::error::Cause;
use crate::{Ceiling, Controller, Limits, Pids, Result, Told};

/// A value for one file of a cgroup.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) controller: Controller,
    pub(crate) file: &'static str,
    pub(crate) value: String,
    /// The limit this comes from, for messages.
    pub(crate) limit: &'static str,
    pub(crate) lack: Lack,
}

/// What it means when a setting's controller or file is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    Fails,
    Told(Told),
    /// Without the file, the setting holds anyway.
    Nothing,
}

impl Lack {
    pub(crate) fn told(self) -> Option<Told> {
        match self {
            Self::Told(told) => Some(told),
            Self::Fails | Self::Nothing => None,
        }
    }
}

/// Memory with swap, checked against each other.
enum Swap {
    Unset,
    Unlimited,
    At { memory: u64, both: u64 },
}

fn swap(limits: &Limits) -> Result<Swap> {
    let both = match limits.memory_swap {
        None => return Ok(Swap::Unset),
        Some(Ceiling::Unlimited) => return Ok(Swap::Unlimited),
        Some(Ceiling::At(both)) => both,
    };
    let why = match limits.memory {
        Some(Ceiling::At(memory)) if memory <= both => return Ok(Swap::At { memory, both }),
        Some(Ceiling::At(_)) => "it includes the memory limit, which is higher",
        _ => "it needs a memory limit",
    };
    Err(Cause::InvalidLimit { limit: "memory and swap limit", value: format!("{both} bytes"), why }
        .into())
}

/// Collects settings; the table of files below reads better with it.
#[derive(Default)]
struct Settings(Vec<Setting>);

impl Settings {
    fn ask(
        &mut self,
        limit: &'static str,
        controller: Controller,
        file: &'static str,
        value: String,
    ) {
        self.0.push(Setting { controller, file, value, limit, lack: Lack::Fails });
    }

    fn cpuset(&mut self, limits: &Limits) {
        if let Some(list) = &limits.cpuset_cpus {
            self.ask("the CPUs to run on", Controller::Cpuset, "cpuset.cpus", list.to_string());
        }
        if let Some(list) = &limits.cpuset_mems {
            self.ask("the memory nodes", Controller::Cpuset, "cpuset.mems", list.to_string());
        }
    }

    fn pids(&mut self, limits: &Limits) {
        let (ceiling, lack) = match limits.pids {
            None => return,
            Some(Pids::Asked(ceiling)) => (ceiling, Lack::Fails),
            Some(Pids::Default(limit)) => {
                (Ceiling::At(limit), Lack::Told(Told::NoPidsLimit { limit }))
            }
        };
        self.0.push(Setting {
            controller: Controller::Pids,
            file: "pids.max",
            value: or(ceiling, "max"),
            limit: "the limit on processes",
            lack,
        });
    }
}

fn or(ceiling: Ceiling, unlimited: &str) -> String {
    match ceiling {
        Ceiling::Unlimited => unlimited.to_owned(),
        Ceiling::At(n) => n.to_string(),
    }
}

/// The files of version 1, in an order that suits a new cgroup.
pub(crate) fn v1(limits: &Limits) -> Result<Vec<Setting>> {
    const BOTH: &str = "memory.memsw.limit_in_bytes";
    let mut settings = Settings::default();
    let both = swap(limits)?;
    if let Some(memory) = limits.memory {
        let file = "memory.limit_in_bytes";
        settings.ask("the memory limit", Controller::Memory, file, or(memory, "-1"));
    }
    match (both, limits.memory) {
        (Swap::Unset, Some(Ceiling::Unlimited)) => settings.0.push(Setting {
            // Memory can't go above memory and swap together; there may be no swap accounting.
            controller: Controller::Memory,
            file: BOTH,
            value: "-1".to_owned(),
            limit: "the memory limit",
            lack: Lack::Nothing,
        }),
        (Swap::Unset, _) => {}
        (Swap::Unlimited, _) => settings.ask("swap", Controller::Memory, BOTH, "-1".to_owned()),
        (Swap::At { both, .. }, _) => {
            settings.ask("swap", Controller::Memory, BOTH, both.to_string());
        }
    }
    if let Some(soft) = limits.memory_reservation {
        let file = "memory.soft_limit_in_bytes";
        settings.ask("the memory reservation", Controller::Memory, file, or(soft, "-1"));
    }
    if let Some(shares) = limits.cpu_shares {
        let value = shares.clamp(MIN_SHARES, MAX_SHARES).to_string();
        settings.ask("CPU shares", Controller::Cpu, "cpu.shares", value);
    }
    if let Some(cpu) = limits.cpu_quota {
        let (period, quota) = (cpu.period().to_string(), or(cpu.quota(), "-1"));
        settings.ask("the CPU period", Controller::Cpu, "cpu.cfs_period_us", period);
        settings.ask("the CPU quota", Controller::Cpu, "cpu.cfs_quota_us", quota);
    }
    settings.cpuset(limits);
    settings.pids(limits);
    Ok(settings.0)
}

/// The files of version 2.
pub(crate) fn v2(limits: &Limits) -> Result<Vec<Setting>> {
    let mut settings = Settings::default();
    let both = swap(limits)?;
    if let Some(memory) = limits.memory {
        settings.ask("the memory limit", Controller::Memory, "memory.max", or(memory, "max"));
    }
    match both {
        Swap::Unset => {}
        Swap::Unlimited => {
            settings.ask("swap", Controller::Memory, "memory.swap.max", "max".to_owned());
        }
        Swap::At { memory, both } => {
            let swap = (both - memory).to_string();
            settings.ask("swap", Controller::Memory, "memory.swap.max", swap);
        }
    }
    if let Some(soft) = limits.memory_reservation {
        settings.ask("the memory reservation", Controller::Memory, "memory.low", or(soft, "max"));
    }
    if let Some(shares) = limits.cpu_shares {
        let weight = weight_of_shares(shares).to_string();
        settings.ask("CPU shares", Controller::Cpu, "cpu.weight", weight);
    }
    if let Some(cpu) = limits.cpu_quota {
        let value = format!("{} {}", or(cpu.quota(), "max"), cpu.period());
        settings.ask("the CPU quota", Controller::Cpu, "cpu.max", value);
    }
    settings.cpuset(limits);
    settings.pids(limits);
    Ok(settings.0)
}

const MIN_SHARES: u64 = 2;
const MAX_SHARES: u64 = 262_144;

/// Version 1's shares (2 to 262,144, default 1,024) as version 2's weight (1 to 10,000, default
/// 100): the quadratic curve in logarithms through these three points that runc and crun use.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the curve stays within 1 to 10,000 for shares in their range"
)]
fn weight_of_shares(shares: u64) -> u64 {
    match u32::try_from(shares) {
        Ok(shares) if u64::from(shares) <= MIN_SHARES => 1,
        Ok(shares) if u64::from(shares) < MAX_SHARES => {
            let log = f64::from(shares).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10_f64.powf(exponent).ceil() as u64
        }
        _ => 10_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CpuQuota, ErrorKind};

    fn files(settings: &[Setting]) -> Vec<(&str, &str)> {
        settings.iter().map(|s| (s.file, s.value.as_str())).collect()
    }

    #[test]
    fn shares_become_the_weights_of_other_runtimes() {
        let expected =
            [(0, 1), (1, 1), (2, 1), (10, 4), (100, 17), (500, 58), (1_000, 99), (1_024, 100)];
        for (shares, weight) in expected {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
        for (shares, weight) in
            [(10_000, 627), (100_000, 4_340), (262_144, 10_000), (u64::MAX, 10_000)]
        {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
        let mut last = 0;
        for shares in 0..=300_000 {
            let weight = weight_of_shares(shares);
            assert!((1..=10_000).contains(&weight) && weight >= last, "{shares}");
            last = weight;
        }
    }

    #[test]
    fn all_limits_in_the_terms_of_each_version() {
        let limits = Limits {
            memory: Some(Ceiling::At(100)),
            memory_swap: Some(Ceiling::At(150)),
            memory_reservation: Some(Ceiling::At(50)),
            cpu_quota: Some(CpuQuota::from_nanocpus(500_000_000).unwrap()),
            cpu_shares: Some(1),
            cpuset_cpus: Some("0-1".parse().unwrap()),
            cpuset_mems: Some("0".parse().unwrap()),
            pids: Some(Pids::Asked(Ceiling::At(9))),
        };
        assert_eq!(
            files(&v1(&limits).unwrap()),
            [
                ("memory.limit_in_bytes", "100"),
                ("memory.memsw.limit_in_bytes", "150"),
                ("memory.soft_limit_in_bytes", "50"),
                ("cpu.shares", "2"),
                ("cpu.cfs_period_us", "100000"),
                ("cpu.cfs_quota_us", "50000"),
                ("cpuset.cpus", "0-1"),
                ("cpuset.mems", "0"),
                ("pids.max", "9"),
            ]
        );
        assert_eq!(
            files(&v2(&limits).unwrap()),
            [
                ("memory.max", "100"),
                ("memory.swap.max", "50"),
                ("memory.low", "50"),
                ("cpu.weight", "1"),
                ("cpu.max", "50000 100000"),
                ("cpuset.cpus", "0-1"),
                ("cpuset.mems", "0"),
                ("pids.max", "9"),
            ]
        );
    }

    #[test]
    fn unlimited_in_the_terms_of_each_version() {
        let limits = Limits {
            memory: Some(Ceiling::Unlimited),
            cpu_quota: Some(CpuQuota::new(Ceiling::Unlimited, 50_000).unwrap()),
            pids: Some(Pids::Asked(Ceiling::Unlimited)),
            ..Limits::default()
        };
        let one = v1(&limits).unwrap();
        assert_eq!(
            files(&one),
            [
                ("memory.limit_in_bytes", "-1"),
                ("memory.memsw.limit_in_bytes", "-1"),
                ("cpu.cfs_period_us", "50000"),
                ("cpu.cfs_quota_us", "-1"),
                ("pids.max", "max"),
            ]
        );
        assert_eq!(one[1].lack, Lack::Nothing);
        assert_eq!(
            files(&v2(&limits).unwrap()),
            [("memory.max", "max"), ("cpu.max", "max 50000"), ("pids.max", "max")]
        );
    }

    #[test]
    fn swap_without_memory_or_below_it_is_refused() {
        for memory in [None, Some(Ceiling::Unlimited), Some(Ceiling::At(11))] {
            let limits = Limits { memory, memory_swap: Some(Ceiling::At(10)), ..Limits::default() };
            for version in [v1, v2] {
                assert_eq!(version(&limits).unwrap_err().kind(), ErrorKind::InvalidLimit);
            }
        }
        let none = Limits {
            memory: Some(Ceiling::At(10)),
            memory_swap: Some(Ceiling::At(10)),
            ..Limits::default()
        };
        assert_eq!(files(&v2(&none).unwrap())[1], ("memory.swap.max", "0"));
    }

    #[test]
    fn only_a_default_may_be_missing() {
        let limits = Limits { pids: Some(Pids::Default(7)), ..Limits::default() };
        let told = Lack::Told(Told::NoPidsLimit { limit: 7 });
        assert_eq!(v2(&limits).unwrap()[0].lack, told);
        assert_eq!(v1(&limits).unwrap()[0].lack, told);
        assert!(v1(&Limits::default()).unwrap().is_empty());
    }
}
