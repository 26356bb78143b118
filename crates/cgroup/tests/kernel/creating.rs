//! Making cgroups: what is made, what is told, what is refused.

use sandbar_cgroup::{Ceiling, Controller, ErrorKind, Hierarchy, Limits, Pids, Told};

use crate::harness::{Own, PATIENCE, assert_gone, dirs, has, hierarchy, is_v2, unique};

#[test]
fn creating_twice_takes_the_first_over_and_sets_the_new_limits() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Pids]) {
        return;
    }
    assert!(own.cgroup.exists());
    assert_eq!(own.cgroup.statistics().unwrap().pids_limit, None);
    let limits = Limits { pids: Some(Pids::Default(7)), ..Limits::default() };
    let again = own.hierarchy.create(own.cgroup.path(), &limits).unwrap();
    assert!(!again.told.contains(&Told::NoPidsLimit { limit: 7 }));
    assert_eq!(own.cgroup.statistics().unwrap().pids_limit, Some(7));
}

#[test]
fn a_nested_path_is_made_whole_and_its_controllers_reach_the_leaf() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Pids, Controller::Memory, Controller::Cpu]) {
        return;
    }
    let limits = Limits {
        memory: Some(Ceiling::At(32 << 20)),
        cpu_shares: Some(512),
        cpu_quota: Some(sandbar_cgroup::CpuQuota::from_nanocpus(500_000_000).unwrap()),
        pids: Some(Pids::Asked(Ceiling::At(9))),
        ..Limits::default()
    };
    let leaf = own.child("pod/container", &limits);
    let statistics = leaf.statistics().unwrap();
    assert_eq!(statistics.memory_limit, Some(32 << 20));
    assert_eq!((statistics.pids_limit, statistics.pids_current), (Some(9), Some(0)));
    assert_eq!((statistics.cpu_usage_usec, statistics.oom_kills), (Some(0), Some(0)));
    let read = |file: &str| {
        let path = leaf.dir(Controller::Cpu).unwrap().join(file);
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    };
    if is_v2(&own.hierarchy) {
        assert_eq!((read("cpu.weight"), read("cpu.max")), ("59".into(), "50000 100000".into()));
    } else {
        assert_eq!((read("cpu.shares"), read("cpu.cfs_quota_us")), ("512".into(), "50000".into()));
    }
}

/// More than the kernel has ids for.
const TOO_MANY: u64 = 1 << 40;

#[test]
fn a_refused_limit_is_told_with_its_file_and_nothing_is_left() {
    let Some(hierarchy) = hierarchy() else { return };
    if !has(&hierarchy, &[Controller::Pids]) {
        return;
    }
    let path = unique();
    let limits = Limits { pids: Some(Pids::Asked(Ceiling::At(TOO_MANY))), ..Limits::default() };
    let error = hierarchy.create(&path.join("below").unwrap(), &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert_eq!(error.errno(), Some(rustix::io::Errno::INVAL));
    let message = error.to_string();
    assert!(message.contains(&TOO_MANY.to_string()) && message.contains("pids.max"), "{message}");
    assert_gone(&hierarchy.open(&path));
}

#[test]
fn a_limit_without_its_controller_is_an_error_and_a_default_is_told() {
    let Some(hierarchy) = hierarchy() else { return };
    // As where only one controller is mounted: the real directory, and a view of it alone.
    let Some(dir) = hierarchy.open(&unique()).dir(Controller::Freezer) else { return };
    if is_v2(&hierarchy) {
        crate::harness::skip::<()>("a view with one controller needs version 1");
        return;
    }
    let point = dir.parent().unwrap().display();
    let line = format!("33 31 0:32 / {point} rw - cgroup cgroup rw,freezer\n");
    let lone = Hierarchy::from_mountinfo(&line).unwrap();
    let path = unique();

    let asked = Limits { pids: Some(Pids::Asked(Ceiling::At(9))), ..Limits::default() };
    let error = lone.create(&path, &asked).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoController);
    assert_eq!(error.to_string(), "no cgroup controller pids for the limit on processes");
    assert_gone(&lone.open(&path));

    let default = Limits { pids: Some(Pids::Default(9)), ..Limits::default() };
    let created = lone.create(&path, &default).unwrap();
    assert_eq!(
        created.told,
        [
            Told::NoPidsLimit { limit: 9 },
            Told::NotCounted(Controller::Cpuacct),
            Told::NotCounted(Controller::Memory),
        ]
    );
    created.cgroup.remove(PATIENCE).unwrap();
    assert_gone(&created.cgroup);
}

#[test]
fn a_cpuset_is_made_only_when_asked_for() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Cpuset]) {
        return;
    }
    if !is_v2(&own.hierarchy) {
        assert!(!own.cgroup.dir(Controller::Cpuset).unwrap().exists());
    }
    let limits = Limits { cpuset_cpus: Some("0".parse().unwrap()), ..Limits::default() };
    let bound = own.child("bound", &limits);
    let allowed = crate::harness::output(&bound, "grep Cpus_allowed_list /proc/self/status");
    assert_eq!(String::from_utf8_lossy(&allowed.stdout).trim(), "Cpus_allowed_list:\t0");
    let io = bound.dir(Controller::Io).filter(|_| !is_v2(&own.hierarchy));
    for dir in dirs(&bound) {
        assert_eq!(dir.exists(), io.as_ref() != Some(&dir), "{}", dir.display());
    }
}

#[test]
fn all_create_and_remove_at_once_below_one_parent() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    let created: Vec<_> = std::thread::scope(|scope| {
        let own = &own;
        let threads: Vec<_> = (0..8)
            .map(|n| scope.spawn(move || own.child(&format!("pod/{n}"), &Limits::default())))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for cgroup in created {
        assert!(cgroup.exists());
        cgroup.remove(PATIENCE).unwrap();
        assert_gone(&cgroup);
    }
}

#[test]
fn version_2_gives_no_controller_below_a_cgroup_with_processes() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !is_v2(&own.hierarchy) {
        crate::harness::skip::<()>("only in version 2");
        return;
    }
    if !has(&own.hierarchy, &[Controller::Pids, Controller::Memory]) {
        return;
    }
    let pod = own.child("pod", &Limits::default());
    let mut child = crate::harness::run(&pod, "exec sleep 1000");
    let path = pod.path().join("container").unwrap();
    let asked = Limits { memory: Some(Ceiling::At(1 << 24)), ..Limits::default() };
    let error = own.hierarchy.create(&path, &asked).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoController);
    assert_eq!(error.errno(), Some(rustix::io::Errno::BUSY));
    assert!(error.to_string().contains("pod/cgroup.subtree_control"), "{error}");
    assert_gone(&own.hierarchy.open(&path));

    let default = Limits { pids: Some(Pids::Default(9)), ..Limits::default() };
    let created = own.hierarchy.create(&path, &default).unwrap();
    let told = [Told::NoPidsLimit { limit: 9 }, Told::NotCounted(Controller::Memory)];
    assert_eq!(created.told, told);
    // What is made all the same can be used.
    assert!(crate::harness::output(&created.cgroup, "true").status.success());
    own.cgroup.kill(PATIENCE).unwrap();
    child.wait().unwrap();
}
