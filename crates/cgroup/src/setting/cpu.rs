//! CPU time.

use super::{Settings, or};
use crate::Controller::Cpu;
use crate::error::Cause;
use crate::{Ceiling, Limits, Result};

const IDLE: &str = "CPU idle";
const BURST: &str = "the CPU burst";
const DEFAULT_PERIOD: u64 = 100_000;

impl Settings {
    pub(super) fn cpu_v1(&mut self, limits: &Limits) {
        let shares =
            limits.cpu_shares.map(|shares| shares.clamp(MIN_SHARES, MAX_SHARES).to_string());
        self.weight_and_idle(limits, "cpu.shares", shares);
        if let Some(period) = limits.cpu_realtime_period {
            let limit = "the realtime period";
            self.ask(limit, Cpu, "cpu.rt_period_us", period.to_string());
        }
        if let Some(runtime) = limits.cpu_realtime_runtime {
            let limit = "the realtime CPU time";
            self.ask(limit, Cpu, "cpu.rt_runtime_us", runtime.to_string());
        }
        if let Some(period) = limits.cpu_quota.and_then(crate::CpuQuota::period) {
            self.ask("the CPU period", Cpu, "cpu.cfs_period_us", period.to_string());
        }
        if let Some(quota) = limits.cpu_quota.and_then(crate::CpuQuota::quota) {
            self.ask("the CPU quota", Cpu, "cpu.cfs_quota_us", or(quota, "-1"));
        }
        if let Some(burst) = limits.cpu_burst {
            self.ask(BURST, Cpu, "cpu.cfs_burst_us", burst.to_string());
        }
    }

    pub(super) fn cpu_v2(&mut self, limits: &Limits) -> Result<()> {
        if limits.cpu_realtime_period.is_some() || limits.cpu_realtime_runtime.is_some() {
            return Err(Cause::OnlyIn { limit: "realtime CPU time", version: 1 }.into());
        }
        let weight = limits.cpu_shares.map(|shares| weight_of_shares(shares).to_string());
        self.weight_and_idle(limits, "cpu.weight", weight);
        if let Some(cpu) = limits.cpu_quota {
            let quota = or(cpu.quota().unwrap_or(Ceiling::Unlimited), "max");
            let value = format!("{quota} {}", cpu.period().unwrap_or(DEFAULT_PERIOD));
            self.ask("the CPU quota", Cpu, "cpu.max", value);
        }
        if let Some(burst) = limits.cpu_burst {
            self.ask(BURST, Cpu, "cpu.max.burst", burst.to_string());
        }
        Ok(())
    }

    /// An idle cgroup takes no weight: it gets its weight before, and one no longer idle after.
    fn weight_and_idle(&mut self, limits: &Limits, file: &'static str, weight: Option<String>) {
        if limits.cpu_idle == Some(false) {
            self.ask(IDLE, Cpu, "cpu.idle", "0".to_owned());
        }
        if let Some(weight) = weight {
            self.ask("CPU shares", Cpu, file, weight);
        }
        if limits.cpu_idle == Some(true) {
            self.ask(IDLE, Cpu, "cpu.idle", "1".to_owned());
        }
    }
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
    fn an_idle_cgroup_gets_its_weight_before_it_is_idle() {
        for (idle, expected) in
            [(true, ["cpu.weight", "cpu.idle"]), (false, ["cpu.idle", "cpu.weight"])]
        {
            let limits =
                Limits { cpu_idle: Some(idle), cpu_shares: Some(1_024), ..Limits::default() };
            let settings = super::super::v2(&limits).unwrap();
            let files: Vec<&str> = settings.iter().map(|s| s.file.as_ref()).collect();
            assert_eq!(files, expected);
        }
    }
}
