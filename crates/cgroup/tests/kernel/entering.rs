//! Getting processes in.

use sandbar_cgroup::{Controller, ErrorKind, Limits};

use crate::harness::{Own, eventually, has, hierarchy, is_v2, output, run, unique};

#[test]
fn a_process_enters_every_hierarchy_by_its_entry() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    let lines = output(&own.cgroup, "cat /proc/self/cgroup");
    let lines = String::from_utf8_lossy(&lines.stdout);
    // The rest of the line depends on where the mount begins.
    let path = format!("/{}", own.cgroup.path());
    let entered = lines.lines().filter(|line| line.ends_with(&path)).count();
    let entry = own.cgroup.entry().unwrap();
    assert_eq!(entered, entry.tasks.len() + usize::from(entry.clone_into.is_some()), "{lines}");
    assert!(entered >= 1);
    assert_eq!(entry.clone_into.is_some(), is_v2(&own.hierarchy));
}

#[test]
fn processes_are_those_of_the_cgroup_and_below() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    assert!(!own.cgroup.is_populated().unwrap());
    let below = own.child("a/b", &Limits::default());
    let mut child = run(&below, "exec sleep 1000");
    let pid = rustix::process::Pid::from_child(&child);
    eventually("the process is in", || below.processes().unwrap() == [pid]);
    assert_eq!(own.cgroup.processes().unwrap(), [pid]);
    assert!(own.cgroup.is_populated().unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(own.cgroup.processes().unwrap(), []);
}

#[test]
fn a_running_process_is_adopted() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    own.cgroup.adopt(pid).unwrap();
    assert_eq!(own.cgroup.processes().unwrap(), [pid]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_process_gets_into_the_nearest_cpuset_above() {
    let Some(own) = Own::new(&Limits::default()) else { return };
    if !has(&own.hierarchy, &[Controller::Cpuset]) {
        return;
    }
    let limits = Limits { cpuset_cpus: Some("0".parse().unwrap()), ..Limits::default() };
    let pod = own.child("pod", &limits);
    let path = pod.path().join("container").unwrap();
    let container = own.hierarchy.create(&path, &Limits::default()).unwrap().cgroup;
    let allowed = output(&container, "grep Cpus_allowed_list /proc/self/status");
    assert_eq!(String::from_utf8_lossy(&allowed.stdout).trim(), "Cpus_allowed_list:\t0");
}

#[test]
fn one_that_does_not_exist_has_no_entry_and_no_processes() {
    let Some(hierarchy) = hierarchy() else { return };
    let cgroup = hierarchy.open(&unique());
    assert_eq!(cgroup.entry().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(cgroup.processes().unwrap(), []);
    assert!(!cgroup.is_populated().unwrap());
    assert_eq!(cgroup.statistics().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(cgroup.oom_kills().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(cgroup.freeze(crate::harness::PATIENCE).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(cgroup.set_limits(&Limits::default()).unwrap_err().kind(), ErrorKind::NotFound);
    cgroup.kill(crate::harness::PATIENCE).unwrap();
    cgroup.remove(crate::harness::PATIENCE).unwrap();
}
