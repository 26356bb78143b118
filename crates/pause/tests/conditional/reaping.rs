//! The kernel reaps what process 1 of a PID namespace adopts, and does not wake it for that.

use crate::{
    Test,
    harness::{Pause, Running, wait_until},
    namespace::{in_namespace, missing},
    orphans::{Orphans, leave_a_family, make_orphans},
};
use std::{fs, process::Command};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "reaping::of_20000_orphans_costs_nothing",
        run: of_20000_orphans_costs_nothing,
        missing,
    },
    Test {
        name: "reaping::includes_zombies_from_before_exec",
        run: includes_zombies_from_before_exec,
        missing: || None,
    },
];

/// The state of each child of `process`.
fn children(process: &Running) -> Vec<char> {
    let parent = process.id().to_string();
    let states = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        // What is no process has no stat, and a process may be gone by now.
        let stat = fs::read_to_string(entry.unwrap().path().join("stat")).ok()?;
        // proc_pid_stat(5): the name is in parentheses and may hold anything; then state and parent.
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let state = fields.next()?.chars().next()?;
        (fields.next()? == parent).then_some(state)
    });
    states.collect()
}

fn of_20000_orphans_costs_nothing() {
    in_namespace(|| {
        let running = Pause::new().settle();
        let before = running.wakeups();
        make_orphans(10_000, Orphans::Running);
        make_orphans(10_000, Orphans::Zombies);

        // Numbers in a namespace count from 1, so the next one tells how many processes it has had.
        let next = Command::new("/bin/sh").args(["-c", "echo $$"]).output().unwrap();
        let next: u64 = String::from_utf8(next.stdout).unwrap().trim().parse().unwrap();
        assert!(next > 20_000, "only {next} processes were made");

        wait_until("no orphan is left", || children(&running).is_empty());
        let woken = running.wakeups() - before;
        assert!(woken <= 5, "woken {woken} times for 20,000 orphans");
    });
}

#[allow(unsafe_code, reason = "children are made between fork and exec")]
fn includes_zombies_from_before_exec() {
    // SAFETY: it makes processes and waits for them, by system calls alone.
    let pause = unsafe { Pause::new().before_exec(|| leave_a_family(Orphans::Zombies)) };
    let running = pause.settle();
    assert_eq!(children(&running), []);
}
