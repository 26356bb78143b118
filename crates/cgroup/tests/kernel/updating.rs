//! Changing limits.

use sandbar_cgroup::{Ceiling, Controller, Limits, Pids};

use crate::harness::{Own, PATIENCE, eventually, has, is_v2, run, skip};

#[test]
fn memory_and_swap_are_raised_and_lowered_together() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Memory]) {
        return;
    }
    let file =
        if is_v2(&own.hierarchy) { "memory.swap.max" } else { "memory.memsw.limit_in_bytes" };
    let swap = own.cgroup.dir(Controller::Memory).unwrap().join(file);
    if !swap.exists() {
        skip::<()>("no swap accounting");
        return;
    }
    for (memory, both) in [(64 << 20, 96 << 20), (256 << 20, 300 << 20), (32 << 20, 32 << 20)] {
        let limits = Limits {
            memory: Some(Ceiling::At(memory)),
            memory_swap: Some(Ceiling::At(both)),
            ..Limits::default()
        };
        own.cgroup.set_limits(&limits).unwrap();
        assert_eq!(own.cgroup.statistics().unwrap().memory_limit, Some(memory));
        let expected = if is_v2(&own.hierarchy) { both - memory } else { both };
        let swap: u64 = std::fs::read_to_string(&swap).unwrap().trim().parse().unwrap();
        assert_eq!(swap, expected);
    }
    let limits = Limits { memory: Some(Ceiling::Unlimited), ..Limits::default() };
    own.cgroup.set_limits(&limits).unwrap();
    assert_eq!(own.cgroup.statistics().unwrap().memory_limit, None);
}

#[test]
fn a_cpuset_that_comes_later_binds_the_processes_there() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Cpuset]) {
        return;
    }
    let mut child = run(&own.cgroup, "exec sleep 1000");
    eventually("it is in", || own.cgroup.is_populated().unwrap());
    let limits = Limits { cpuset_cpus: Some("0".parse().unwrap()), ..Limits::default() };
    assert_eq!(own.cgroup.set_limits(&limits).unwrap(), []);
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
    own.cgroup.kill(PATIENCE).unwrap();
    child.wait().unwrap();
}

#[test]
fn a_limit_is_lifted() {
    let limits = Limits { pids: Some(Pids::Default(5)), ..Limits::default() };
    let Some(own) = Own::new(&limits) else { return };
    if !has(&own.hierarchy, &[Controller::Pids]) {
        return;
    }
    assert_eq!(own.cgroup.statistics().unwrap().pids_limit, Some(5));
    let limits = Limits { pids: Some(Pids::Asked(Ceiling::Unlimited)), ..Limits::default() };
    own.cgroup.set_limits(&limits).unwrap();
    assert_eq!(own.cgroup.statistics().unwrap().pids_limit, None);
}
