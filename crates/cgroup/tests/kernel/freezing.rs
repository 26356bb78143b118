//! Stopping and going on.

use std::time::Duration;

use sandbar_cgroup::{ErrorKind, Limits};

use crate::harness::{Own, PATIENCE, eventually, run};

/// A shell that counts in a file, so that one sees whether it runs.
fn counter(own: &Own) -> (std::process::Child, impl Fn() -> u64 + use<>) {
    let file = std::env::temp_dir().join(format!("{}-count", own.cgroup.path()));
    let script = format!("i=0; while :; do i=$((i+1)); echo $i > {}; done", file.display());
    let child = run(&own.cgroup, &script);
    let read = move || {
        std::fs::read_to_string(&file).ok().and_then(|n| n.trim().parse().ok()).unwrap_or(0)
    };
    (child, read)
}

#[test]
fn frozen_processes_stop_and_thawed_ones_go_on() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    let (mut child, count) = counter(&own);
    eventually("it counts", || count() > 0);
    assert!(!own.cgroup.is_frozen().unwrap());

    own.cgroup.freeze(PATIENCE).unwrap();
    assert!(own.cgroup.is_frozen().unwrap());
    // A stopped shell may have the file just truncated; either way nothing changes.
    let before = count();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(count(), before);

    own.cgroup.thaw().unwrap();
    eventually("it counts on", || count() > before);
    own.cgroup.kill(PATIENCE).unwrap();
    child.wait().unwrap();
    std::fs::remove_file(std::env::temp_dir().join(format!("{}-count", own.cgroup.path())))
        .unwrap();
}

#[test]
fn frozen_processes_are_killed() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    let below = own.child("below", &Limits::default());
    let mut child = run(&below, "exec sleep 1000");
    eventually("it is in", || below.is_populated().unwrap());
    below.freeze(PATIENCE).unwrap();
    own.cgroup.kill(PATIENCE).unwrap();
    child.wait().unwrap();
    assert!(!own.cgroup.is_populated().unwrap());
}

#[test]
fn the_caller_neither_freezes_nor_kills_itself() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    let exe = std::env::current_exe().unwrap();
    if std::env::var_os("SANDBAR_TEST_ENTERED").is_none() {
        // In a process of its own, which does not come back by itself if this fails.
        let script = format!(
            "SANDBAR_TEST_ENTERED={} exec {} --exact freezing::the_caller_neither_freezes_nor_kills_itself",
            own.cgroup.path(),
            exe.display()
        );
        let mut child = run(&own.cgroup, &script);
        let mut status = None;
        eventually("it ends", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        assert!(status.unwrap().success());
        return;
    }
    let path = std::env::var("SANDBAR_TEST_ENTERED").unwrap().parse().unwrap();
    let mine = own.hierarchy.open(&path);
    assert_eq!(mine.freeze(PATIENCE).unwrap_err().kind(), ErrorKind::HoldsCaller);
    assert_eq!(mine.kill(PATIENCE).unwrap_err().kind(), ErrorKind::HoldsCaller);
}

#[test]
fn an_empty_cgroup_freezes() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    own.cgroup.freeze(PATIENCE).unwrap();
    assert!(own.cgroup.is_frozen().unwrap());
}
