//! Limits hold.

use std::os::unix::process::ExitStatusExt;

use sandbar_cgroup::{Ceiling, Controller, Limits, Pids};

use crate::harness::{Own, has, output, run};

#[test]
fn a_pids_limit_stops_a_fork() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Pids]) {
        return;
    }
    let limits = Limits { pids: Some(Pids::Asked(Ceiling::At(1))), ..Limits::default() };
    let tight = own.child("tight", &limits);
    let stopped = output(&tight, "/bin/true; echo forked");
    let message = String::from_utf8_lossy(&stopped.stderr).to_lowercase();
    assert!(message.contains("fork"), "{stopped:?}");
    assert!(!stopped.status.success());
    let limits = Limits { pids: Some(Pids::Asked(Ceiling::At(2))), ..Limits::default() };
    tight.set_limits(&limits).unwrap();
    assert_eq!(output(&tight, "/bin/true; echo forked").stdout, b"forked\n");
}

#[test]
fn a_memory_limit_kills_and_is_counted() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Memory]) {
        return;
    }
    let limits = Limits { memory: Some(Ceiling::At(16 << 20)), ..Limits::default() };
    let small = own.child("small", &limits);
    // What has no newline is held whole, in search of the last line.
    let mut child = run(&small, "exec tail /dev/zero");
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert_eq!(small.oom_kills().unwrap(), Some(1));
    assert_eq!(own.cgroup.oom_kills().unwrap(), Some(1));
    let statistics = small.statistics().unwrap();
    assert_eq!(statistics.memory_limit, Some(16 << 20));
    if let Some(peak) = statistics.memory_peak {
        assert!((12 << 20..=16 << 20).contains(&peak), "{statistics:?}");
    }
    if let Some(used) = statistics.cpu_usage_usec {
        assert!(used > 0, "{statistics:?}");
    }
}
