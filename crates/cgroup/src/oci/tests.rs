use super::*;
use crate::ErrorKind;

fn limits(json: &str) -> Result<Limits> {
    let resources: LinuxResources = serde_json::from_str(json).unwrap();
    Limits::try_from(&resources)
}

#[test]
fn nothing_asked_is_nothing_set() {
    assert_eq!(limits("{}").unwrap(), Limits::default());
    let zeroes = r#"{"memory":{"limit":0,"swap":0},"cpu":{"shares":0,"quota":0,"period":0,"cpus":""},
        "pids":{"limit":0},"blockIO":{"weight":0},"network":{},"hugepageLimits":[]}"#;
    assert_eq!(limits(zeroes).unwrap(), Limits::default());
}

#[test]
fn all_that_can_be_asked_is_taken() {
    let device = BlockDevice { major: 8, minor: 16 };
    let expected = Limits {
        memory: Some(Ceiling::At(100)),
        memory_swap: Some(Ceiling::Unlimited),
        memory_reservation: Some(Ceiling::At(50)),
        memory_swappiness: Some(0),
        oom_killer_disabled: Some(false),
        memory_checked: true,
        kernel_memory: Some(Ceiling::Unlimited),
        kernel_memory_tcp: Some(Ceiling::At(9)),
        cpu_quota: Some(CpuQuota::new(Ceiling::Unlimited, 50_000).unwrap()),
        cpu_burst: Some(7),
        cpu_idle: Some(true),
        cpu_realtime_runtime: Some(950),
        cpu_realtime_period: Some(1_000),
        cpu_shares: Some(512),
        cpuset_cpus: Some("0-1".parse().unwrap()),
        cpuset_mems: Some("0".parse().unwrap()),
        pids: Some(Pids::Asked(Ceiling::Unlimited)),
        io: IoLimits {
            weight: Some(10),
            leaf_weight: Some(11),
            devices: vec![IoWeight { device, weight: Some(12), leaf_weight: Some(13) }],
            throttles: vec![
                IoThrottle { device, what: Throttled::ReadBytes, rate: 1 },
                IoThrottle { device, what: Throttled::WriteBytes, rate: 2 },
                IoThrottle { device, what: Throttled::Reads, rate: 3 },
                IoThrottle { device, what: Throttled::Writes, rate: 4 },
            ],
        },
        huge_pages: vec![HugePages::new("2MB", Ceiling::At(0)).unwrap()],
        rdma: vec![RdmaLimit::new("mlx5_0", Some(Ceiling::At(3)), None).unwrap()],
        network_class: Some(5),
        network_priorities: vec![NetworkPriority::new("lo", 6).unwrap()],
        unified: vec![
            Unified::new("cpu.weight", "5").unwrap(),
            Unified::new("memory.high", "7").unwrap(),
        ],
        devices: Some(
            DeviceList::new(&["deny a *:* rwm".parse().unwrap(), "allow c 1:* r".parse().unwrap()])
                .unwrap(),
        ),
    };
    let json = r#"{
        "memory": {"limit": 100, "swap": -1, "reservation": 50, "swappiness": 0, "kernel": -1,
            "kernelTCP": 9, "disableOOMKiller": false, "checkBeforeUpdate": true},
        "cpu": {"shares": 512, "quota": -1, "period": 50000, "burst": 7, "idle": 1,
            "realtimeRuntime": 950, "realtimePeriod": 1000, "cpus": "0-1", "mems": "0"},
        "pids": {"limit": -1},
        "blockIO": {"weight": 10, "leafWeight": 11,
            "weightDevice": [{"major": 8, "minor": 16, "weight": 12, "leafWeight": 13}],
            "throttleReadBpsDevice": [{"major": 8, "minor": 16, "rate": 1}],
            "throttleWriteBpsDevice": [{"major": 8, "minor": 16, "rate": 2}],
            "throttleReadIOPSDevice": [{"major": 8, "minor": 16, "rate": 3}],
            "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 4}]},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 0}],
        "rdma": {"mlx5_0": {"hcaHandles": 3}},
        "network": {"classID": 5, "priorities": [{"name": "lo", "priority": 6}]},
        "unified": {"memory.high": "7", "cpu.weight": "5"},
        "devices": [{"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "minor": -1, "access": "r"}]
    }"#;
    assert_eq!(limits(json).unwrap(), expected);
}

#[test]
fn what_can_not_be_meant_is_named() {
    for (json, message) in [
        (
            r#"{"memory":{"limit":-2}}"#,
            "linux.resources.memory.limit of -2: it is negative, and not -1 for unlimited",
        ),
        (r#"{"cpu":{"idle":2}}"#, "linux.resources.cpu.idle of 2: it is 0 or 1"),
        (
            r#"{"cpu":{"quota":10}}"#,
            "linux.resources.cpu: CPU quota of 10 µs: the least is 1,000 µs (0.01 CPUs)",
        ),
        (
            r#"{"unified":{"../x.y":"1"}}"#,
            r#"linux.resources.unified: version 2 file of "../x.y": it must be a file's name, like memory.high"#,
        ),
        (
            r#"{"devices":[{"allow":true,"type":"c","major":-7,"access":"r"}]}"#,
            "linux.resources.devices[0].major of -7: it is no device's number",
        ),
        (
            r#"{"devices":[{"allow":true,"access":"rx"}]}"#,
            "linux.resources.devices[0]: device access of rx: it is of r, w and m",
        ),
    ] {
        let error = limits(json).expect_err(json);
        assert_eq!(error.kind(), ErrorKind::InvalidLimit);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_device_rule_without_access_is_about_all_of_it() {
    let rules = |access: &str| {
        limits(&format!(r#"{{"devices":[{{"allow":true,"type":"c","major":1{access}}}]}}"#))
            .unwrap()
            .devices
    };
    assert_eq!(rules(""), rules(r#", "access": "rwm""#));
    assert_ne!(rules(""), rules(r#", "access": "r""#));
}
