//! Removing.

use std::time::Duration;

use sandbar_cgroup::{Controller, ErrorKind, Limits};

use crate::harness::{Own, PATIENCE, assert_gone, eventually, run};

#[test]
fn a_cgroup_with_processes_is_busy_and_stays() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    let below = own.child("below", &Limits::default());
    let mut child = run(&below, "exec sleep 1000");
    eventually("it is in", || below.is_populated().unwrap());
    let error = own.cgroup.remove(Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(below.is_populated().unwrap());
    own.cgroup.kill(PATIENCE).unwrap();
    child.wait().unwrap();
}

#[test]
fn what_a_container_made_below_is_removed_whatever_its_name_and_depth() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    let tree = own.child("tree", &Limits::default());
    let dir = tree.dir(Controller::Freezer).unwrap();
    for name in ["with space", "sch\u{f6}n", "..."] {
        std::fs::create_dir(dir.join(name)).unwrap();
    }
    // Deeper than a path can name: 20 names of 250 bytes.
    let name = "d".repeat(250);
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let mode = rustix::fs::Mode::from_raw_mode(0o755);
    let mut at = rustix::fs::openat(rustix::fs::CWD, &dir, flags, mode).unwrap();
    for _ in 0..20 {
        rustix::fs::mkdirat(&at, &name, mode).unwrap();
        at = rustix::fs::openat(&at, &name, flags, mode).unwrap();
    }
    drop(at);
    assert_eq!(tree.processes().unwrap(), []);
    tree.remove(PATIENCE).unwrap();
    assert_gone(&tree);
    tree.remove(PATIENCE).unwrap();
}
