//! The tests of one file: which can run here, each in a process of its own that becomes its node.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;
use std::{env, fs};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use rustix::process::{Pid, Signal, WaitOptions, set_parent_process_death_signal};

use crate::cgroups::NodeCgroups;
use crate::until::Patience;
use crate::{Need, Node, leftovers};

/// Names the test that a process is to run as a node.
const INSIDE: &str = "SANDBAR_TESTS_INSIDE";
/// Set once the process's own parent takes the node's orphans.
const PARENTED: &str = "SANDBAR_TESTS_PARENTED";
/// Names its node's cgroup.
const CGROUP: &str = "SANDBAR_TESTS_CGROUP";
/// How long one test may take.
const AT_MOST: Duration = Duration::from_secs(240);

/// One test.
#[derive(Debug, Clone, Copy)]
pub struct Test {
    /// Its name, a sentence.
    pub name: &'static str,
    /// What it needs of the machine beside what all need.
    pub needs: &'static [Need],
    /// What happens.
    pub body: fn(&Node),
}

/// The tests of a file, and its `main`: `tests! { one, another [Nginx] }`.
#[macro_export]
macro_rules! tests {
    ($($test:ident $([$($need:ident),+])?),+ $(,)?) => {
        fn main() -> std::process::ExitCode {
            $crate::main(&[$($crate::Test {
                name: stringify!($test),
                needs: &[$($($crate::Need::$need),+)?],
                body: $test,
            }),+])
        }
    };
}

/// Runs what the command line asks for.
///
/// # Panics
/// If this process was to be a node and can't be.
#[must_use]
pub fn main(tests: &[Test]) -> ExitCode {
    if let Ok(name) = env::var(INSIDE) {
        // Who is left alone by a test program that is killed ends too.
        set_parent_process_death_signal(Some(Signal::KILL)).expect("prctl");
        if env::var_os(PARENTED).is_none() {
            return be_init();
        }
        let test = tests.iter().find(|test| test.name == name).expect("a test of that name");
        return inside(test, &env::var(CGROUP).expect("the name of the node's cgroup"));
    }
    NodeCgroups::end_abandoned();
    let trials = tests.iter().map(|&test| {
        Trial::ignorable_test(test.name, move || match Need::missing(test.needs) {
            Some(why) => {
                eprintln!("ignored: {}: {why}", test.name);
                Ok(Completion::ignored_with(why))
            }
            None => outside(&test).map(|()| Completion::Completed),
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// Starts the node, waits for its end, and removes all that is left of it.
fn outside(test: &Test) -> Result<(), Failed> {
    let cgroups = NodeCgroups::make().map_err(|error| format!("the node's cgroup: {error}"))?;
    let output = tempfile::NamedTempFile::new()?;
    let mut command = Command::new(env::current_exe()?);
    command
        .env(INSIDE, test.name)
        .env(CGROUP, cgroups.name())
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(append(&output)?)
        .stderr(append(&output)?)
        .process_group(0);
    let mut child = command.spawn()?;
    let mut patience = Patience::of(AT_MOST);
    let mut over = child.try_wait()?;
    while over.is_none() && patience.sleep(Duration::from_millis(5)) {
        over = child.try_wait()?;
    }
    cgroups.end();
    if over.is_none() {
        child.kill()?;
        child.wait()?;
    }
    let text = String::from_utf8_lossy(&fs::read(output.path())?).into_owned();
    match over {
        Some(status) if status.success() => {
            text.lines()
                .filter(|line| line.starts_with("measured"))
                .for_each(|it| eprintln!("{it}"));
            Ok(())
        }
        Some(status) => Err(format!("{text}({status})").into()),
        None => Err(format!("{text}(it was not over after {AT_MOST:?})").into()),
    }
}

/// The same file once more; both are appended to, so that what is said first stands first.
fn append(output: &tempfile::NamedTempFile) -> std::io::Result<File> {
    File::options().append(true).open(output.path())
}

/// Starts the node, and takes the orphans in it as a machine's PID 1 does: at once, which this machine's may not.
#[allow(clippy::zombie_processes, reason = "the loop waits for every child, this one too")]
fn be_init() -> ExitCode {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("a subreaper");
    let mut command = Command::new(env::current_exe().expect("this program's path"));
    let node = command.env(PARENTED, "1").spawn().expect("the node");
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == Pid::from_child(&node) => {
                let passed = status.exit_status() == Some(0);
                return if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("wait: {error}"),
        }
    }
}

/// Becomes the node and runs the test.
fn inside(test: &Test, cgroup: &str) -> ExitCode {
    let node = Node::enter(cgroup);
    let passed = catch_unwind(AssertUnwindSafe(|| (test.body)(&node))).is_ok();
    // What a test left that failed half-way says nothing.
    if !passed {
        node.tell();
        return ExitCode::FAILURE;
    }
    let left = leftovers::find();
    if left.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("the test left something behind:");
    left.iter().for_each(|it| println!("  {it}"));
    ExitCode::FAILURE
}
