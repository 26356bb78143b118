//! Every resource arrives in the kernel.

use sandbar_cgroup::{
    BlockDevice, Ceiling, Cgroup, Controller, CpuQuota, ErrorKind, HugePages, IoLimits, IoThrottle,
    Limits, Pids, Throttled, Told, Unified,
};

use crate::harness::{Own, has, is_v2, skip};

/// What the file of the version in use says.
fn says(cgroup: &Cgroup, controller: Controller, one: &str, two: &str) -> String {
    let file = if is_v2(cgroup.hierarchy()) { two } else { one };
    let path = cgroup.dir(controller).unwrap().join(file);
    std::fs::read_to_string(&path).unwrap().trim_end().to_owned()
}

fn a_block_device() -> Option<BlockDevice> {
    let disks = std::fs::read_dir("/sys/block").ok()?;
    let disk = disks.flatten().find_map(|disk| {
        let text = std::fs::read_to_string(disk.path().join("dev")).ok()?;
        let (major, minor) = text.trim().split_once(':')?;
        Some(BlockDevice { major: major.parse().ok()?, minor: minor.parse().ok()? })
    });
    if disk.is_none() {
        skip::<()>("no block device");
    }
    disk
}

#[test]
fn quota_and_period_are_changed_one_without_the_other() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Cpu]) {
        return;
    }
    let set = |quota, period| {
        let cpu_quota = Some(CpuQuota::partly(quota, period).unwrap());
        own.cgroup.set_limits(&Limits { cpu_quota, ..Limits::default() }).unwrap();
    };
    let both = || {
        if is_v2(&own.hierarchy) {
            return says(&own.cgroup, Controller::Cpu, "", "cpu.max");
        }
        let read = |file| says(&own.cgroup, Controller::Cpu, file, "");
        format!("{} {}", read("cpu.cfs_quota_us"), read("cpu.cfs_period_us"))
    };
    set(Some(Ceiling::At(30_000)), Some(50_000));
    assert_eq!(both(), "30000 50000");
    set(None, Some(60_000));
    assert_eq!(both(), "30000 60000");
    set(Some(Ceiling::At(20_000)), None);
    assert_eq!(both(), "20000 60000");
}

#[test]
fn a_burst_and_idleness_are_set() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Cpu]) {
        return;
    }
    let limits = Limits {
        cpu_quota: Some(CpuQuota::new(Ceiling::At(50_000), 100_000).unwrap()),
        cpu_burst: Some(20_000),
        cpu_shares: Some(1_024),
        cpu_idle: Some(true),
        ..Limits::default()
    };
    match own.cgroup.set_limits(&limits) {
        Err(error) if error.kind() == ErrorKind::NoController => {
            skip::<()>(&error.to_string());
            return;
        }
        done => assert_eq!(done.unwrap(), []),
    }
    let burst = says(&own.cgroup, Controller::Cpu, "cpu.cfs_burst_us", "cpu.max.burst");
    assert_eq!(burst, "20000");
    assert_eq!(says(&own.cgroup, Controller::Cpu, "cpu.idle", "cpu.idle"), "1");
    let limits = Limits { cpu_shares: Some(2), cpu_idle: Some(false), ..Limits::default() };
    own.cgroup.set_limits(&limits).unwrap();
    assert_eq!(says(&own.cgroup, Controller::Cpu, "cpu.idle", "cpu.idle"), "0");
}

#[test]
fn a_block_device_is_throttled_and_let_go() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    let Some(device) = a_block_device() else { return };
    if !has(&own.hierarchy, &[Controller::Io]) {
        return;
    }
    let set = |rate| {
        let throttles = vec![IoThrottle { device, what: Throttled::ReadBytes, rate }];
        let io = IoLimits { throttles, ..IoLimits::default() };
        own.cgroup.set_limits(&Limits { io, ..Limits::default() }).unwrap();
        says(&own.cgroup, Controller::Io, "blkio.throttle.read_bps_device", "io.max")
    };
    let limited = set(1_048_576);
    assert!(limited.starts_with(&device.to_string()) && limited.contains("1048576"), "{limited}");
    assert_eq!(set(0), "");
}

#[test]
fn huge_pages_are_limited() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::HugeTlb]) {
        return;
    }
    let huge_pages = vec![HugePages::new("2MB", Ceiling::At(4 << 20)).unwrap()];
    own.cgroup.set_limits(&Limits { huge_pages, ..Limits::default() }).unwrap();
    let one = ("hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.rsvd.limit_in_bytes");
    assert_eq!(says(&own.cgroup, Controller::HugeTlb, one.0, "hugetlb.2MB.max"), "4194304");
    assert_eq!(says(&own.cgroup, Controller::HugeTlb, one.1, "hugetlb.2MB.rsvd.max"), "4194304");
}

#[test]
fn a_missing_controller_is_named() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    let controllers = own.hierarchy.controllers().unwrap();
    if controllers.contains(Controller::HugeTlb) {
        skip::<()>("the controller is there");
        return;
    }
    let huge_pages = vec![HugePages::new("2MB", Ceiling::At(0)).unwrap()];
    let error = own.cgroup.set_limits(&Limits { huge_pages, ..Limits::default() }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoController);
    assert_eq!(error.to_string(), "no cgroup controller hugetlb for the limit on huge pages");
}

#[test]
fn a_failed_update_leaves_nothing_changed() {
    let limits = Limits {
        memory: Some(Ceiling::At(64 << 20)),
        pids: Some(Pids::Asked(Ceiling::At(9))),
        cpu_shares: Some(512),
        ..Limits::default()
    };
    let Some(own) = Own::new(&limits) else { return };
    if !has(&own.hierarchy, &[Controller::Memory, Controller::Cpuset, Controller::Cpu]) {
        return;
    }
    let shares = || says(&own.cgroup, Controller::Cpu, "cpu.shares", "cpu.weight");
    let before = shares();
    let limits = Limits {
        memory: Some(Ceiling::At(128 << 20)),
        cpu_shares: Some(2_048),
        cpuset_cpus: Some("100000".parse().unwrap()),
        pids: Some(Pids::Asked(Ceiling::At(20))),
        ..Limits::default()
    };
    let error = own.cgroup.set_limits(&limits).unwrap_err();
    assert!(error.to_string().contains("cpuset.cpus"), "{error}");
    assert!(error.left_changed().is_empty(), "{error}");
    let now = own.cgroup.statistics().unwrap();
    assert_eq!((now.memory_limit, now.pids_limit), (Some(64 << 20), Some(9)));
    assert_eq!(shares(), before);
}

#[test]
fn a_memory_limit_below_what_is_used_is_refused_when_that_is_asked() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Memory]) {
        return;
    }
    let memory = Some(Ceiling::At(0));
    let limits = Limits { memory, memory_checked: true, ..Limits::default() };
    let error = own.cgroup.set_limits(&limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidLimit);
    assert!(error.to_string().contains("not above what is in use"), "{error}");
}

#[test]
fn files_of_version_2_are_written_by_name() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    let unified = vec![
        Unified::new("memory.high", "33554432").unwrap(),
        Unified::new("cgroup.max.depth", "3").unwrap(),
    ];
    let done = own.cgroup.set_limits(&Limits { unified, ..Limits::default() });
    if !is_v2(&own.hierarchy) {
        assert_eq!(done.unwrap_err().kind(), ErrorKind::NoController);
        return;
    }
    done.unwrap();
    assert_eq!(says(&own.cgroup, Controller::Memory, "", "memory.high"), "33554432");
    assert_eq!(says(&own.cgroup, Controller::Memory, "", "cgroup.max.depth"), "3");
}

#[test]
fn an_io_weight_is_set_by_whichever_scheduler_has_it() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Io]) {
        return;
    }
    let io = IoLimits { weight: Some(500), ..IoLimits::default() };
    match own.cgroup.set_limits(&Limits { io, ..Limits::default() }) {
        Err(error) if error.kind() == ErrorKind::NoController => {
            assert!(error.to_string().contains("weight"), "{error}");
            skip::<()>(&error.to_string());
        }
        done => {
            done.unwrap();
            let dir = own.cgroup.dir(Controller::Io).unwrap();
            let files = ["blkio.weight", "blkio.bfq.weight", "io.bfq.weight", "io.weight"];
            let said = files.iter().find_map(|file| std::fs::read_to_string(dir.join(file)).ok());
            let said = said.unwrap();
            assert!(said.contains("500") || said.contains("4950"), "{said}");
        }
    }
}

#[test]
fn swappiness_and_the_killer_are_those_of_version_1() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Memory]) {
        return;
    }
    let limits = Limits {
        memory: Some(Ceiling::At(64 << 20)),
        memory_swappiness: Some(13),
        oom_killer_disabled: Some(true),
        kernel_memory: Some(Ceiling::At(1 << 20)),
        ..Limits::default()
    };
    let done = own.cgroup.set_limits(&limits);
    if is_v2(&own.hierarchy) {
        assert_eq!(done.unwrap_err().kind(), ErrorKind::NoController);
        return;
    }
    assert_eq!(done.unwrap(), [Told::NoKernelMemoryLimit]);
    assert_eq!(says(&own.cgroup, Controller::Memory, "memory.swappiness", ""), "13");
    let control = says(&own.cgroup, Controller::Memory, "memory.oom_control", "");
    assert!(control.contains("oom_kill_disable 1"), "{control}");
    // A failure later on sets both back.
    let limits = Limits {
        memory_swappiness: Some(14),
        oom_killer_disabled: Some(false),
        pids: Some(Pids::Asked(Ceiling::At(u64::MAX))),
        ..Limits::default()
    };
    let error = own.cgroup.set_limits(&limits).unwrap_err();
    assert!(error.to_string().contains("pids.max"), "{error}");
    assert_eq!(says(&own.cgroup, Controller::Memory, "memory.swappiness", ""), "13");
    assert_eq!(says(&own.cgroup, Controller::Memory, "memory.oom_control", ""), control);
}
