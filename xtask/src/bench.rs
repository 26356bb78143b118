//! `cargo xtask bench`: how long and how large, beside Podman on the same machine in the same run.
//!
//! Everything runs in a node of its own. A measured command is timed from before it is spawned until it has been
//! waited for; Sandbar's and Podman's take turns. Nothing fails for being slow: the table says what missed.

mod measure;
mod memory;
mod peers;
mod report;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::{Arg, Parser, ValueExt};

use crate::apt::{self, Package};
use crate::rootfs::Rootfs;
use crate::{build, node, shell};
use peers::Peer;
use report::{Report, Row};

/// Marks the process that is in the node already.
const INSIDE: &str = "XTASK_BENCH_NODE";
/// Runs that are not counted: caches fill, the bridge is made.
const WARM_UP: usize = 5;
/// How many pods share the memory that is measured.
const PODS: usize = 20;

/// How it was asked for.
#[derive(Debug)]
pub(crate) struct Options {
    runs: usize,
    json: PathBuf,
    podman: bool,
}

impl Options {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self> {
        let json = build::workspace().join("target/bench.json");
        let mut options = Self { runs: 50, json, podman: true };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("runs") => options.runs = parser.value()?.parse()?,
                Arg::Long("json") => options.json = parser.value()?.into(),
                Arg::Long("no-podman") => options.podman = false,
                other => return Err(other.unexpected().into()),
            }
        }
        if options.runs == 0 {
            bail!("--runs must be at least 1");
        }
        Ok(options)
    }
}

/// Builds, enters a node, measures and reports.
pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    if std::env::var_os(INSIDE).is_none() {
        return enter(options);
    }
    let sandbar: PathBuf = std::env::var_os(INSIDE).map(PathBuf::from).context("no program")?;
    let scratch = tempfile::tempdir()?;
    let archive = scratch.path().join("busybox.tar");
    let rootfs = Rootfs::new()?;
    rootfs.busybox()?;
    rootfs.archive(&archive)?;
    let mut peers = vec![Peer::sandbar(sandbar)];
    let mut notes = Vec::new();
    if options.podman {
        match Peer::podman(scratch.path()) {
            Ok(podman) => peers.push(podman),
            Err(error) => notes.push(format!("Podman was not measured: {error:#}")),
        }
    }
    for peer in &peers {
        peer.import(&archive)?;
    }
    let report = Report { rows: rows(options, &peers)?, runs: options.runs, notes };
    println!("\n{report}");
    report.write(&options.json)?;
    println!("written to {}", options.json.display());
    Ok(ExitCode::SUCCESS)
}

fn rows(options: &Options, peers: &[Peer]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for case in measure::CASES {
        shell::heading(case.what);
        rows.push(measure::measure(case, peers, options.runs, WARM_UP)?);
    }
    shell::heading("memory");
    rows.push(memory::measure(peers, PODS)?);
    Ok(rows)
}

/// Builds what is measured and runs this chore again in a node.
fn enter(options: &Options) -> Result<ExitCode> {
    let mut packages = vec![Package::BUSYBOX, Package::IPROUTE, Package::UTIL_LINUX];
    if options.podman {
        packages.extend([Package::PODMAN, Package::CRUN, Package::NETAVARK]);
    }
    apt::install(&packages)?;
    let built = build::release()?;
    let sandbar = built.get("sandbar").context("cargo built no sandbar")?;
    let mut words: Vec<OsString> = vec![std::env::current_exe()?.into(), "bench".into()];
    words.extend(["--runs".into(), options.runs.to_string().into()]);
    words.extend(["--json".into(), options.json.clone().into()]);
    if !options.podman {
        words.push("--no-podman".into());
    }
    let status = node::command(&words)?.env(INSIDE, sandbar).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
