//! What it takes of a machine's memory.

use crate::{Test, harness::Pause};
use std::fs;

pub(crate) const TESTS: &[Test] = &[
    Test { name: "memory::is_at_most_8_kib", run: is_at_most_8_kib, missing },
    Test { name: "memory::keeps_its_command_line", run: keeps_its_command_line, missing },
];

fn missing() -> Option<String> {
    if rustix::param::page_size() != 4096 {
        return Some("the pages of this machine are larger than 4 KiB".into());
    }
    let error = fs::read("/proc/self/smaps_rollup").err()?;
    Some(format!("/proc/self/smaps_rollup cannot be read: {error}"))
}

/// How often it is measured: where the kernel puts the stack is random, and with it how many pages it takes.
const STARTS: usize = 300;

fn is_at_most_8_kib() {
    for _ in 0..STARTS {
        let running = Pause::new().settle();
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", running.id())).unwrap();
        let resident = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).unwrap();
        let kib: u64 = resident.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        // A page of the program, and one of the stack. Twelve is what was promised.
        assert!((1..=8).contains(&kib), "{rollup}");
    }
}

fn keeps_its_command_line() {
    for _ in 0..STARTS {
        let running = Pause::new().named("a pause").argument("of").argument("some").settle();
        let line = fs::read(format!("/proc/{}/cmdline", running.id())).unwrap();
        assert_eq!(line, b"a pause\0of\0some\0");
    }
}
