//! `cargo xtask bench --runtime`: OCI runtimes on one bundle, taking turns.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::row::Measured;
use crate::{apt, shell};

/// Of crun's time and memory.
const TIME: f64 = 0.6;
const MEMORY: f64 = 1.0 / 3.0;

/// In which a container should start, in bytes.
const LEAST_MEMORY: u64 = 512 << 10;

/// What is timed.
const STEPS: [&str; 4] = ["run", "create", "start", "delete"];

/// A runtime, and how it is called.
#[derive(Debug)]
struct Runtime {
    name: &'static str,
    program: PathBuf,
}

impl Runtime {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).stdin(Stdio::null());
        command
    }

    /// Runs a command that has to succeed; how many milliseconds it took.
    fn timed(&self, words: &[&str]) -> Result<f64> {
        // Not a pipe, which a container would keep open.
        let messages = tempfile::tempfile()?;
        let mut command = self.command(words);
        command.stdout(Stdio::null()).stderr(messages.try_clone()?);
        let start = Instant::now();
        let status = command.status().with_context(|| shell::line(&command))?;
        let took = start.elapsed();
        if !status.success() {
            let mut said = String::new();
            let mut messages = messages;
            std::io::Seek::rewind(&mut messages)?;
            std::io::Read::read_to_string(&mut messages, &mut said)?;
            bail!("{}: {status}: {}", shell::line(&command), said.trim());
        }
        Ok(took.as_secs_f64() * 1000.0)
    }
}

/// What was measured of a runtime.
#[derive(Debug)]
struct Line {
    name: &'static str,
    steps: [Measured; 4],
    /// Of the process that runs a container, in KiB.
    peak: Measured,
    /// Whether a container starts in 512 KiB.
    small: Result<(), String>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Comparison {
    lines: Vec<Line>,
    runs: usize,
}

/// Measures what is installed, Sandbar first. `rootfs` has a busybox in it.
pub(super) fn measure(
    sandbar: &Path,
    scratch: &Path,
    rootfs: &Path,
    runs: usize,
    warm_up: usize,
) -> Result<Comparison> {
    let installed = |name| apt::program(name).map(|program| Runtime { name, program });
    let own = Runtime { name: "sandbar", program: sandbar.with_file_name("sandbar-oci") };
    let runtimes: Vec<_> =
        [Some(own), installed("crun"), installed("runc")].into_iter().flatten().collect();
    let quick = Bundle::new(&scratch.join("quick"), rootfs, &["true"], None)?;
    let slow = Bundle::new(&scratch.join("slow"), rootfs, &["sleep", "1"], None)?;
    let small = Bundle::new(&scratch.join("small"), rootfs, &["true"], Some(LEAST_MEMORY))?;
    let mut samples: Vec<Result<[Vec<f64>; 4]>> =
        runtimes.iter().map(|_| Ok(Default::default())).collect();
    for run in 0..warm_up + runs {
        for (runtime, sample) in runtimes.iter().zip(&mut samples) {
            let Ok(values) = sample else { continue };
            match steps(runtime, &quick) {
                Ok(taken) if run >= warm_up => {
                    values.iter_mut().zip(taken).for_each(|(values, took)| values.push(took));
                }
                Ok(_) => {}
                Err(error) => *sample = Err(error),
            }
        }
    }
    let lines = runtimes.iter().zip(samples).map(|(runtime, sample)| {
        let why = sample.as_ref().err().map(|error| format!("{error:#}"));
        let values = sample.unwrap_or_default();
        let measured = |values: Vec<f64>| match &why {
            Some(why) => Measured::Not(why.clone()),
            None => Measured::from(Ok(values)),
        };
        let small = runtime.timed(&["run", "--bundle", &small.path, "small"]);
        Line {
            name: runtime.name,
            steps: values.map(measured),
            peak: Measured::from(peak(runtime, &slow).map(|peak| vec![peak])),
            small: small.map(drop).map_err(|error| format!("{error:#}")),
        }
    });
    Ok(Comparison { lines: lines.collect(), runs })
}

/// One turn: how long each of [`STEPS`] took.
fn steps(runtime: &Runtime, bundle: &Bundle) -> Result<[f64; 4]> {
    let run = runtime.timed(&["run", "--bundle", &bundle.path, "run"])?;
    let create = runtime.timed(&["create", "--bundle", &bundle.path, "steps"])?;
    let start = runtime.timed(&["start", "steps"])?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while state(runtime)? != "stopped" {
        if Instant::now() > deadline {
            bail!("{}: its container did not end", runtime.name);
        }
        sleep(Duration::from_millis(1));
    }
    let delete = runtime.timed(&["delete", "steps"])?;
    Ok([run, create, start, delete])
}

fn state(runtime: &Runtime) -> Result<String> {
    let mut command = runtime.command(&["state", "steps"]);
    let state: Value = serde_json::from_str(&shell::output(&mut command)?)?;
    Ok(state["status"].as_str().unwrap_or_default().to_owned())
}

/// The most memory that the process which runs a container had, in KiB (`VmHWM`, proc_pid_status(5)).
fn peak(runtime: &Runtime, bundle: &Bundle) -> Result<f64> {
    let mut command = runtime.command(&["run", "--bundle", &bundle.path, "peak"]);
    let mut child = command.stdout(Stdio::null()).spawn()?;
    sleep(Duration::from_millis(300));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
    child.wait()?;
    let status = status.context("it ended too soon")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).context("it has no VmHWM")
}

/// A bundle of runc's usual kind.
#[derive(Debug)]
struct Bundle {
    path: String,
}

impl Bundle {
    fn new(path: &Path, rootfs: &Path, program: &[&str], memory: Option<u64>) -> Result<Self> {
        fs::create_dir_all(path)?;
        let mut spec: Value = serde_json::from_str(include_str!("bundle.json"))?;
        spec["root"]["path"] = json!(rootfs);
        spec["process"]["args"] = json!(program);
        if let Some(limit) = memory {
            spec["linux"]["resources"]["memory"] = json!({ "limit": limit });
        }
        fs::write(path.join("config.json"), spec.to_string())?;
        Ok(Self { path: path.to_str().context("the bundle's path is no text")?.to_owned() })
    }
}

impl Comparison {
    /// The numbers, for programs.
    pub(super) fn json(&self) -> Value {
        let lines = self.lines.iter().map(|line| {
            let steps = STEPS.iter().zip(&line.steps);
            let steps: serde_json::Map<_, _> =
                steps.map(|(name, it)| ((*name).to_owned(), it.json())).collect();
            json!({
                "runtime": line.name,
                "milliseconds": steps,
                "peak_kib": line.peak.json(),
                "starts_in_512_kib": line.small.is_ok(),
            })
        });
        json!({ "runs": self.runs, "runtimes": lines.collect::<Vec<_>>() })
    }

    /// Whether all of Sandbar's own could be measured.
    pub(super) fn is_whole(&self) -> bool {
        let own = self.lines.first();
        own.is_some_and(|own| own.steps.iter().all(|step| step.median().is_some()))
    }

    fn of(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == name)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "One bundle, busybox's `true`; {} runs of each, taking turns.\n", self.runs)?;
        let names: Vec<_> = self.lines.iter().map(|line| line.name).collect();
        writeln!(f, "| what | {} | of crun's | at most | |", names.join(" | "))?;
        writeln!(f, "|---|{}---|---|---|", "---|".repeat(names.len()))?;
        for (index, step) in STEPS.iter().enumerate() {
            row(f, step, "ms", &self.lines, TIME, |line| line.steps.get(index))?;
        }
        row(f, "peak of the process that runs it", "KiB", &self.lines, MEMORY, |line| {
            Some(&line.peak)
        })?;
        let starts = self.lines.iter().map(|line| if line.small.is_ok() { "yes" } else { "no" });
        let starts: Vec<_> = starts.collect();
        let own = self.lines.first().is_some_and(|own| own.small.is_ok());
        let verdict = if own { "ok" } else { "MISSED" };
        writeln!(f, "| starts in 512 KiB | {} | | yes | {verdict} |", starts.join(" | "))?;
        for line in &self.lines {
            for why in line.steps.iter().chain([&line.peak]).filter_map(Measured::why_not).take(1) {
                writeln!(f, "\n{}: not measured: {why}", line.name)?;
            }
            if let Err(why) = &line.small {
                writeln!(f, "\n{} in 512 KiB: {why}", line.name)?;
            }
        }
        if self.of("crun").is_none() {
            writeln!(f, "\ncrun is not installed: there is nothing to compare with")?;
        }
        Ok(())
    }
}

fn row<'a>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    unit: &str,
    lines: &'a [Line],
    target: f64,
    measured: impl Fn(&'a Line) -> Option<&'a Measured>,
) -> fmt::Result {
    let median = |line| measured(line).and_then(Measured::median);
    let shown = lines.iter().map(|line| match median(line) {
        Some(median) => format!("{median:.1} {unit}"),
        None => "not measured".to_owned(),
    });
    let shown: Vec<_> = shown.collect();
    let own = lines.first().and_then(median);
    let crun = lines.iter().find(|line| line.name == "crun").and_then(median);
    let share = own.zip(crun).map(|(own, crun)| own / crun);
    let (share, verdict) = match share {
        Some(share) => (format!("{share:.2}"), if share <= target { "ok" } else { "MISSED" }),
        None => (String::new(), "FAILED"),
    };
    writeln!(f, "| {what} | {} | {share} | {target:.2} | {verdict} |", shown.join(" | "))
}
