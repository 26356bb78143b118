//! What is counted is shown.

use sandbar_cgroup::{Ceiling, Controller, CpuQuota, Hierarchy, Limits, Pids};

use crate::harness::{Own, PATIENCE, assert_gone, eventually, has, hierarchy, is_v2, run, unique};

#[test]
fn a_busy_process_is_counted_in_full() {
    let limits = Limits {
        cpu_quota: Some(CpuQuota::new(Ceiling::At(5_000), 50_000).unwrap()),
        memory: Some(Ceiling::At(64 << 20)),
        pids: Some(Pids::Asked(Ceiling::At(7))),
        ..Limits::default()
    };
    let Some(own) = Own::new(&limits) else { return };
    let needed = [Controller::Cpu, Controller::Memory, Controller::Pids];
    if !has(&own.hierarchy, &needed) {
        return;
    }
    let mut child = run(&own.cgroup, "while :; do :; done");
    let usage = || own.cgroup.usage().unwrap();
    eventually("it is throttled", || usage().cpu.throttled_periods.is_some_and(|n| n > 1));
    let shown = usage();
    assert!(shown.cpu.total.is_some_and(|n| n > 0) && shown.cpu.user.is_some(), "{shown:?}");
    assert!(shown.cpu.throttled.is_some_and(|n| n > 0), "{shown:?}");
    assert_eq!((shown.pids, shown.pids_limit), (Some(1), Some(7)));
    assert!(shown.memory.memory.usage.is_some_and(|n| n > 0), "{shown:?}");
    assert_eq!(shown.memory.memory.limit, Some(64 << 20));
    assert_eq!(shown.memory.memory.failures, Some(0));
    assert!(shown.memory.stat.len() > 10, "{shown:?}");
    if is_v2(&own.hierarchy) {
        assert!(shown.cpu.per_cpu.is_empty());
        let kernel_has = own.cgroup.dir(Controller::Cpu).unwrap().join("cpu.pressure").exists();
        assert_eq!(shown.cpu_pressure.is_some(), kernel_has);
    } else if has(&own.hierarchy, &[Controller::Cpuacct]) {
        assert!(!shown.cpu.per_cpu.is_empty() && !shown.cpu.per_cpu_user.is_empty());
        assert!(shown.cpu.per_cpu.iter().sum::<u64>() > 0);
        assert_eq!(shown.cpu_pressure, None);
    }
    own.cgroup.kill(PATIENCE).unwrap();
    child.wait().unwrap();
}

#[test]
fn one_that_does_not_exist_has_no_usage() {
    let Some(hierarchy) = hierarchy() else { return };
    let error = hierarchy.open(&unique()).usage().unwrap_err();
    assert_eq!(error.kind(), sandbar_cgroup::ErrorKind::NotFound);
}

#[test]
fn a_relative_path_is_made_near_the_caller() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    let at = own.cgroup.path();
    let text = if is_v2(&own.hierarchy) {
        format!("0::/{at}/caller\n")
    } else {
        let all = own.hierarchy.controllers().unwrap();
        let v1 = |c: Controller| if c == Controller::Io { "blkio" } else { c.as_str() };
        all.iter().map(|c| format!("1:{}:/{at}\n", v1(c))).collect()
    };
    let placed = own.hierarchy.place("./near", &text).unwrap();
    let made = placed.hierarchy().create(placed.path(), &Limits::default()).unwrap().cgroup;
    assert!(made.exists() && made.processes().unwrap().is_empty());
    assert_eq!(
        made.dir(Controller::Memory),
        own.cgroup.dir(Controller::Memory).map(|d| d.join("near"))
    );
    // Another command finds it again by the same words.
    let again = Hierarchy::detect().unwrap().place("near", &text).unwrap();
    assert_eq!(again, made);
    again.remove(PATIENCE).unwrap();
    assert_gone(&made);
}
