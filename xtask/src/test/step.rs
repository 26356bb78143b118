//! One step: a command, or a function that knows when it can't be done here.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail};

use super::tally::Tally;
use crate::build::cargo;
use crate::shell;

/// How a step ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed,
    /// It can't be done here, and why.
    Skipped(String),
    Failed(Error),
}

impl From<Result<()>> for Outcome {
    fn from(result: Result<()>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Passed)
    }
}

/// What a step does.
#[derive(Debug)]
enum Work {
    Command(Command),
    /// A command that runs tests, which are counted.
    Tests(Command),
    Function(fn() -> Outcome),
    /// A function that runs tests, which it counts.
    Counted(fn(&mut Tally) -> Outcome),
}

/// A step.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    work: Work,
}

impl Step {
    /// What a function does.
    pub(crate) fn new(name: &'static str, work: fn() -> Outcome) -> Self {
        Self { name, work: Work::Function(work) }
    }

    /// What a function does that runs tests.
    pub(crate) fn counted(name: &'static str, work: fn(&mut Tally) -> Outcome) -> Self {
        Self { name, work: Work::Counted(work) }
    }

    /// What cargo does.
    pub(crate) fn cargo(name: &'static str, arguments: &[&str]) -> Self {
        let mut command = cargo();
        command.args(arguments);
        Self { name, work: Work::Command(command) }
    }

    /// Those tests of the workspace that `selection` names to cargo.
    pub(crate) fn tests(name: &'static str, selection: &[&str]) -> Self {
        let mut command = cargo();
        command.args(["test", "--workspace"]).args(selection);
        Self { name, work: Work::Tests(command) }
    }

    /// Does it, and tells how it ended, which tests ran, and how long it took.
    pub(crate) fn run(self) -> (Outcome, Tally, Duration) {
        let start = Instant::now();
        let mut tally = Tally::default();
        let outcome = match self.work {
            Work::Command(mut command) => shell::show_and_run(&mut command).into(),
            Work::Tests(mut command) => run_tests(&mut command, &mut tally).into(),
            Work::Function(function) => function(),
            Work::Counted(function) => function(&mut tally),
        };
        (outcome, tally, start.elapsed())
    }
}

/// Passes on what tests print as they print it, and counts them.
fn run_tests(command: &mut Command, tally: &mut Tally) -> Result<()> {
    shell::show(&shell::line(command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("can't run {}", shell::line(command)))?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("can't read what the tests print")?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            tally.read(&line);
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{} failed: {status}", shell::line(command));
    }
    if tally.total() == 0 {
        bail!("{} ran no test", shell::line(command));
    }
    Ok(())
}
