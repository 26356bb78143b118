//! Limits as properties of a unit (`systemd.resource-control(5)`).
//!
//! They are made of what is written to the files, so that systemd, which writes the same files when it is told to
//! read its configuration again, writes what is in them. For what systemd has no property, it leaves the files alone.

use super::{Property, Value};
use crate::setting::Setting;
use crate::writing::settings;
use crate::{Cgroup, Controller, DeviceList, Hierarchy, Limits, Result, files};

/// No limit, of any kind.
const INFINITY: u64 = u64::MAX;
/// systemd counts quotas in steps of this, of a second: 10 ms.
const STEP: u64 = 10_000;

/// The properties that say what `limits` do, for a new unit.
///
/// # Errors
/// As for [`Hierarchy::create`], for limits that contradict each other or that this hierarchy does not have.
pub fn limit_properties(hierarchy: &Hierarchy, limits: &Limits) -> Result<Vec<Property>> {
    let settings = settings(hierarchy, limits)?;
    let pairs: Vec<_> = settings.iter().map(|it| (it.file.as_ref(), it.value.as_str())).collect();
    Ok([properties(&pairs), devices(hierarchy, limits)].concat())
}

/// Version 1's list of devices is one that systemd writes, too. In version 2 each has a program of its own, and both
/// decide: there, systemd has none.
fn devices(hierarchy: &Hierarchy, limits: &Limits) -> Vec<Property> {
    let list = limits.devices.as_ref().filter(|_| !hierarchy.is_v2());
    list.map(DeviceList::properties).unwrap_or_default()
}

/// The properties for a change of limits of `cgroup`, and those that say what it has now of the same.
///
/// # Errors
/// As for [`Cgroup::set_limits`].
pub fn present_properties(
    cgroup: &Cgroup,
    limits: &Limits,
) -> Result<(Vec<Property>, Vec<Property>)> {
    let limits = &*cgroup.completed(limits)?;
    let settings = settings(cgroup.hierarchy(), limits)?;
    let new: Vec<_> = settings.iter().map(|it| (it.file.as_ref(), it.value.as_str())).collect();
    let mut texts = Vec::new();
    for Setting { controller, file, .. } in &settings {
        let path = cgroup.file(controller.unwrap_or(Controller::Memory), file.as_ref());
        let text = path.map(|path| files::read_if_there(&path)).transpose()?.flatten();
        texts.extend(text.map(|text| (file.as_ref(), text)));
    }
    let old: Vec<_> = texts.iter().map(|(file, text)| (*file, text.trim())).collect();
    let devices = devices(cgroup.hierarchy(), limits);
    Ok(([properties(&new), devices].concat(), properties(&old)))
}

/// The properties for what is written to files, of either version.
fn properties(written: &[(&str, &str)]) -> Vec<Property> {
    let mut all: Vec<Property> = Vec::new();
    for &(file, value) in written {
        for property in of(file, value, written) {
            // The last counts, as it does for the files.
            all.retain(|before| before.name != property.name);
            all.push(property);
        }
    }
    all
}

fn of(file: &str, value: &str, written: &[(&str, &str)]) -> Vec<Property> {
    let number = |name: &'static str| match value {
        "max" | "-1" => vec![Property::new(name, INFINITY)],
        value => value.parse::<u64>().ok().map(|n| Property::new(name, n)).into_iter().collect(),
    };
    let ids = |name: &'static str| match bits(value) {
        Some(bits) => vec![Property::new(name, Value::Bytes(bits))],
        None => Vec::new(),
    };
    match file {
        "memory.max" => number("MemoryMax"),
        "memory.high" => number("MemoryHigh"),
        "memory.low" => number("MemoryLow"),
        "memory.min" => number("MemoryMin"),
        "memory.swap.max" => number("MemorySwapMax"),
        "memory.limit_in_bytes" => number("MemoryLimit"),
        "cpu.weight" => number("CPUWeight"),
        "cpu.shares" => number("CPUShares"),
        // A weight of none is what systemd knows an idle cgroup by, since version 252.
        "cpu.idle" if value == "1" => vec![Property::new("CPUWeight", 0_u64)],
        "cpu.max" => {
            let (quota, period) = value.split_once(' ').unwrap_or((value, "100000"));
            quota_of(quota, period)
        }
        "cpu.cfs_quota_us" => {
            let period = written.iter().find(|(file, _)| *file == "cpu.cfs_period_us");
            quota_of(value, period.map_or("100000", |(_, period)| *period))
        }
        "pids.max" => number("TasksMax"),
        "cpuset.cpus" => ids("AllowedCPUs"),
        "cpuset.mems" => ids("AllowedMemoryNodes"),
        "io.weight" => {
            let weight = value.trim_start_matches("default ").parse::<u64>().ok();
            weight.map(|weight| Property::new("IOWeight", weight)).into_iter().collect()
        }
        "blkio.weight" => number("BlockIOWeight"),
        _ => Vec::new(),
    }
}

/// CPU time of a second, and the period that this is divided into.
fn quota_of(quota: &str, period: &str) -> Vec<Property> {
    let Some(period) = period.parse::<u64>().ok().filter(|period| *period != 0) else {
        return Vec::new();
    };
    let per_second = match quota.parse::<u64>() {
        // What is not a whole step systemd would cut off: better a little more than too little.
        Ok(quota) => quota.saturating_mul(1_000_000).div_ceil(period).div_ceil(STEP) * STEP,
        Err(_unlimited) => INFINITY,
    };
    vec![
        Property::new("CPUQuotaPerSecUSec", per_second),
        Property::new("CPUQuotaPeriodUSec", period),
    ]
}

/// Numbers as a field of bits, that of 0 the lowest of the first byte; `None` if they are no list of them.
fn bits(list: &str) -> Option<Vec<u8>> {
    /// More than any machine has.
    const MOST: usize = 1 << 16;
    let mut bits = Vec::new();
    for item in list.trim().split(',').filter(|item| !item.is_empty()) {
        let (low, high) = item.split_once('-').unwrap_or((item, item));
        let (low, high): (usize, usize) = (low.parse().ok()?, high.parse().ok()?);
        if high >= MOST {
            return None;
        }
        if bits.len() <= high / 8 {
            bits.resize(high / 8 + 1, 0);
        }
        (low..=high).for_each(|number| bits[number / 8] |= 1 << (number % 8));
    }
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(file: &str, value: &str) -> Vec<(String, Value)> {
        let found = properties(&[(file, value)]);
        found.into_iter().map(|it| (it.name.into_owned(), it.value)).collect()
    }

    #[test]
    fn what_is_written_is_what_systemd_is_told() {
        for (file, value, name, expected) in [
            ("memory.max", "1048576", "MemoryMax", Value::U64(1_048_576)),
            ("memory.max", "max", "MemoryMax", Value::U64(u64::MAX)),
            ("memory.swap.max", "0", "MemorySwapMax", Value::U64(0)),
            ("memory.limit_in_bytes", "-1", "MemoryLimit", Value::U64(u64::MAX)),
            ("cpu.shares", "2", "CPUShares", Value::U64(2)),
            ("cpu.idle", "1", "CPUWeight", Value::U64(0)),
            ("pids.max", "7", "TasksMax", Value::U64(7)),
            ("cpuset.cpus", "0-2,9", "AllowedCPUs", Value::Bytes(vec![7, 2])),
            ("cpuset.mems", "0", "AllowedMemoryNodes", Value::Bytes(vec![1])),
            ("io.weight", "default 50", "IOWeight", Value::U64(50)),
        ] {
            assert_eq!(one(file, value), [(name.to_owned(), expected)]);
        }
        assert_eq!(one("hugetlb.2MB.max", "1"), []);
        assert_eq!(one("cpu.idle", "0"), []);
    }

    #[test]
    fn a_quota_is_of_a_second_and_rounded_up_to_steps() {
        let of = |value| one("cpu.max", value).into_iter().map(|it| it.1).collect::<Vec<_>>();
        assert_eq!(of("50000 100000"), [Value::U64(500_000), Value::U64(100_000)]);
        assert_eq!(of("1001 100000"), [Value::U64(20_000), Value::U64(100_000)]);
        assert_eq!(of("max 50000"), [Value::U64(u64::MAX), Value::U64(50_000)]);
        let v1 = properties(&[("cpu.cfs_period_us", "50000"), ("cpu.cfs_quota_us", "25000")]);
        assert_eq!(v1[0], Property::new("CPUQuotaPerSecUSec", 500_000_u64));
        assert_eq!(v1[1], Property::new("CPUQuotaPeriodUSec", 50_000_u64));
    }

    #[test]
    fn the_last_of_a_name_counts() {
        let found = properties(&[("cpu.weight", "100"), ("cpu.idle", "1")]);
        assert_eq!(found, [Property::new("CPUWeight", 0_u64)]);
    }
}
