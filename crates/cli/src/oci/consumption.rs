//! What a container uses, as runc's `events --stats` shows it.

use sandbar_cgroup::{CpuUsage, IoEntry, MemoryCounter, MemoryUsage, Pressure, Usage};
use serde_json::{Map, Value, json};

/// As JSON; what is not counted here is left out.
pub(super) fn json(usage: &Usage) -> Value {
    let io = |value: fn(&IoEntry) -> u64| {
        let entry = |entry: &IoEntry| {
            json!({
                "major": entry.device.major, "minor": entry.device.minor,
                "op": entry.operation, "value": value(entry),
            })
        };
        usage.io.iter().map(entry).collect::<Vec<_>>()
    };
    let pages = usage.huge_pages.iter().map(|(size, pages)| {
        let shown = json!({ "usage": pages.usage, "max": pages.peak, "failcnt": pages.failures });
        (size.clone(), without_null(shown))
    });
    json!({
        "cpu": cpu(&usage.cpu, usage.cpu_pressure.as_ref()),
        "memory": memory(&usage.memory, usage.memory_pressure.as_ref()),
        "pids": without_null(json!({ "current": usage.pids, "limit": usage.pids_limit })),
        "blkio": without_null(json!({
            "ioServiceBytesRecursive": io(|entry| entry.bytes),
            "ioServicedRecursive": io(|entry| entry.count),
            "psi": usage.io_pressure.as_ref().map(pressure),
        })),
        "hugetlb": pages.collect::<Map<_, _>>(),
    })
}

/// Times in nanoseconds.
fn cpu(usage: &CpuUsage, waited: Option<&Pressure>) -> Value {
    without_null(json!({
        "usage": without_null(json!({
            "total": usage.total, "user": usage.user, "kernel": usage.system,
            "percpu": usage.per_cpu, "percpu_user": usage.per_cpu_user,
            "percpu_kernel": usage.per_cpu_system,
        })),
        "throttling": without_null(json!({
            "periods": usage.periods, "throttledPeriods": usage.throttled_periods,
            "throttledTime": usage.throttled,
        })),
        "burst": without_null(json!({ "bursts": usage.bursts, "burstTime": usage.burst })),
        "psi": waited.map(pressure),
    }))
}

/// Sizes in bytes.
fn memory(usage: &MemoryUsage, waited: Option<&Pressure>) -> Value {
    let counter = |counter: &MemoryCounter| {
        without_null(json!({
            "usage": counter.usage, "max": counter.peak, "limit": counter.limit,
            "failcnt": counter.failures,
        }))
    };
    without_null(json!({
        "usage": counter(&usage.memory),
        "swap": counter(&usage.swap),
        "kernel": counter(&usage.kernel),
        "kernelTCP": counter(&usage.kernel_tcp),
        "cache": usage.cache,
        "raw": usage.stat,
        "psi": waited.map(pressure),
    }))
}

fn pressure(waited: &Pressure) -> Value {
    let stalled = |it: &sandbar_cgroup::Stalled| json!({ "avg10": it.avg10, "avg60": it.avg60, "avg300": it.avg300, "total": it.total });
    json!({ "some": stalled(&waited.some), "full": stalled(&waited.full) })
}

fn without_null(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    value
}
