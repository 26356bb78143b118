//! Device rules hold.

use sandbar_cgroup::{Cgroup, Controller, DeviceList, Limits};

use crate::harness::{Own, PATIENCE, has, is_v2, output};

fn rules(rules: &[&str]) -> Limits {
    let rules: Vec<_> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    Limits { devices: Some(DeviceList::new(&rules).unwrap()), ..Limits::default() }
}

fn works(cgroup: &Cgroup, script: &str) -> bool {
    let done = output(cgroup, script);
    assert_ne!(done.status.code(), Some(99), "{done:?}");
    done.status.success()
}

/// Opens a device for reading, and for writing.
fn reads(cgroup: &Cgroup, device: &str) -> bool {
    works(cgroup, &format!(": < {device}"))
}

fn writes(cgroup: &Cgroup, device: &str) -> bool {
    works(cgroup, &format!(": > {device}"))
}

fn makes(cgroup: &Cgroup, numbers: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    works(cgroup, &format!("mknod {}/made {numbers}", dir.path().display()))
}

/// A cgroup below one of its own, where device rules can be had.
fn below(limits: &Limits) -> Option<(Own, Cgroup)> {
    let own = Own::new(&Limits::default())?;
    if !is_v2(&own.hierarchy) && !has(&own.hierarchy, &[Controller::Devices]) {
        return None;
    }
    let cgroup = own.child("below", limits);
    Some((own, cgroup))
}

#[test]
fn only_allowed_devices_are_opened_and_made() {
    let limits = rules(&["deny a *:* rwm", "allow c 1:3 rw", "allow c 1:5 rm"]);
    let Some((_own, cgroup)) = below(&limits) else { return };
    assert!(reads(&cgroup, "/dev/null") && writes(&cgroup, "/dev/null"));
    assert!(reads(&cgroup, "/dev/zero") && !writes(&cgroup, "/dev/zero"));
    assert!(!reads(&cgroup, "/dev/full"));
    assert!(makes(&cgroup, "c 1 5") && !makes(&cgroup, "c 1 3"));
}

#[test]
fn an_update_replaces_the_rules() {
    let Some((_own, cgroup)) = below(&rules(&["allow c 1:3 rwm", "allow c 1:5 rw"])) else {
        return;
    };
    assert!(reads(&cgroup, "/dev/zero") && !makes(&cgroup, "c 1 5"));
    cgroup.set_limits(&rules(&["allow c 1:3 rwm", "allow c 1:7 rwm"])).unwrap();
    assert!(!reads(&cgroup, "/dev/zero") && reads(&cgroup, "/dev/full"));
    cgroup.set_limits(&rules(&["allow a *:* rwm", "deny c 1:7 w"])).unwrap();
    assert!(reads(&cgroup, "/dev/zero") && reads(&cgroup, "/dev/full"));
    assert!(!writes(&cgroup, "/dev/full") && makes(&cgroup, "c 1 5"));
    cgroup.set_limits(&rules(&[])).unwrap();
    assert!(!works(&cgroup, "exec 3< /dev/zero"));
}

#[test]
fn what_the_cgroup_above_denies_can_not_be_allowed_below() {
    let Some((own, cgroup)) = below(&Limits::default()) else { return };
    let above = own.child("above", &rules(&["allow c 1:3 rwm", "allow c 1:5 rwm"]));
    let path = above.path().join("below").unwrap();
    let below = own.hierarchy.create(&path, &rules(&["allow c 1:3 rwm"])).unwrap().cgroup;
    let asked = rules(&["allow c 1:5 rwm", "allow c 1:7 rwm"]);
    let done = below.set_limits(&asked);
    if is_v2(&own.hierarchy) {
        done.unwrap();
        assert!(reads(&below, "/dev/zero"));
    } else {
        let error = done.unwrap_err();
        assert!(error.to_string().contains("devices.allow"), "{error}");
        assert!(error.left_changed().is_empty(), "{error}");
        assert!(reads(&below, "/dev/null") && !reads(&below, "/dev/zero"));
    }
    assert!(!reads(&below, "/dev/full"));
    cgroup.remove(PATIENCE).unwrap();
}

#[test]
fn limits_without_rules_leave_the_devices_as_they_are() {
    let Some((_own, cgroup)) = below(&rules(&["allow c 1:3 rwm"])) else { return };
    cgroup.set_limits(&Limits::default()).unwrap();
    assert!(reads(&cgroup, "/dev/null") && !reads(&cgroup, "/dev/zero"));
}
