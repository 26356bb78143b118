//! Tests that need something that not every machine gives. Where it lacks, they are reported as ignored,
//! and standard error says why: a test that could not run has not passed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and may speak"
)]

#[path = "../harness/mod.rs"]
mod harness;
mod memory;
mod namespace;
mod orphans;
mod reaping;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// A test, and what it needs.
struct Test {
    name: &'static str,
    run: fn(),
    /// Why it can't run here, if so.
    missing: fn() -> Option<String>,
}

fn main() -> ExitCode {
    let tests = memory::TESTS.iter().chain(namespace::TESTS).chain(reaping::TESTS);
    let trials = tests.map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(test: &'static Test) -> Trial {
    let missing = (test.missing)();
    if let Some(missing) = &missing {
        eprintln!("ignored: {}: {missing}", test.name);
    }
    let run = move || {
        (test.run)();
        Ok(())
    };
    Trial::test(test.name, run).with_ignored_flag(missing.is_some())
}
