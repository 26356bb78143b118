//! Ending all processes.

use std::time::{Duration, Instant};

use sandbar_cgroup::{Ceiling, Controller, ErrorKind, Hierarchy, Limits, Pids, Version};

use crate::harness::{Own, PATIENCE, assert_gone, eventually, has, hierarchy, run, skip, unique};

#[test]
fn kill_ends_a_fork_bomb_held_by_a_pids_limit() {
    let limits = Limits { pids: Some(Pids::Asked(Ceiling::At(60))), ..Limits::default() };
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Pids]) {
        return;
    }
    let below = own.child("bomb", &limits);
    // Each process forks for ever, and forks again what was ended: no list of it stays true.
    let mut child = run(&below, "f() { f & f & while :; do f & done; }; f");
    eventually("it fills its limit", || {
        below.statistics().unwrap().pids_current.is_some_and(|n| n >= 50)
    });
    let started = Instant::now();
    own.cgroup.kill(PATIENCE).unwrap();
    eprintln!("ended after {:?}", started.elapsed());
    assert_eq!(own.cgroup.processes().unwrap(), []);
    child.wait().unwrap();
    std::thread::sleep(Duration::from_millis(20));
    assert!(!own.cgroup.is_populated().unwrap());
}

#[test]
fn kill_ends_many_sleepers() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    let mut child = run(&own.cgroup, "for i in $(seq 200); do sleep 1000 & done; wait");
    eventually("all are in", || own.cgroup.processes().unwrap().len() > 200);
    own.cgroup.kill(PATIENCE).unwrap();
    child.wait().unwrap();
    assert_eq!(own.cgroup.processes().unwrap(), []);
}

#[test]
fn without_a_freezer_processes_are_killed_and_can_not_be_frozen() {
    let Some(hierarchy) = hierarchy() else { return };
    if !has(&hierarchy, &[Controller::Pids]) {
        return;
    }
    if hierarchy.version() == Version::V2 {
        skip::<()>("version 2 always freezes");
        return;
    }
    let dir = hierarchy.open(&unique()).dir(Controller::Pids).unwrap();
    let point = dir.parent().unwrap().display();
    let line = format!("33 31 0:32 / {point} rw - cgroup cgroup rw,pids\n");
    let lone = Hierarchy::from_mountinfo(&line).unwrap();
    let cgroup = lone.create(&unique(), &Limits::default()).unwrap().cgroup;
    let mut child = run(&cgroup, "for i in $(seq 20); do sleep 1000 & done; wait");
    eventually("all are in", || cgroup.processes().unwrap().len() > 20);
    assert_eq!(cgroup.freeze(PATIENCE).unwrap_err().kind(), ErrorKind::NoController);
    cgroup.kill(PATIENCE).unwrap();
    child.wait().unwrap();
    cgroup.remove(PATIENCE).unwrap();
    assert_gone(&cgroup);
}
