//! `cargo xtask bench`: how long and how large, beside Podman on the same machine in the same run. `--network` measures
//! the network instead, beside Podman's; `--images` pulls, loads and lists, beside Podman's; `--runtime` the OCI runtime,
//! beside crun and runc.
//!
//! Everything runs in a node of its own. A measured command is timed from before it is spawned until it has been
//! waited for; Sandbar's and Podman's take turns. Nothing fails for being slow: the table says what missed.

mod comparison;
mod images;
mod measure;
mod memory;
mod network;
mod peers;
mod report;
mod row;
mod runtimes;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lexopt::{Arg, Parser, ValueExt};

use crate::apt::{self, Package};
use crate::rootfs::Rootfs;
use crate::{build, node};
use peers::Peer;
use report::Report;
use serde_json::Value;

/// Tells the process that is in the node where `sandbar` is.
const INSIDE: &str = "XTASK_BENCH_SANDBAR";

/// Runs that are not counted: caches fill, the bridge is made.
const WARM_UP: usize = 5;

/// How many pods share the memory that is measured.
const PODS: u16 = 20;

/// What Podman needs for pods on a bridge.
const PODMAN: [Package<'_>; 6] = [
    Package::PODMAN,
    Package::CRUN,
    Package::NETAVARK,
    Package::AARDVARK,
    Package::CATATONIT,
    Package::IPTABLES,
];

/// What traffic is made with.
const TRAFFIC: [Package<'_>; 4] = [Package::IPERF, Package::WRK, Package::NGINX, Package::IPROUTE];

/// What images are pulled from, and put there with.
const REGISTRY: [Package<'_>; 2] = [Package::REGISTRY, Package::SKOPEO];

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Pods,
    Network,
    Images,
    Runtime,
}

impl Subject {
    /// The option that asks for it.
    fn option(self) -> Option<&'static str> {
        match self {
            Self::Pods => None,
            Self::Network => Some("--network"),
            Self::Images => Some("--images"),
            Self::Runtime => Some("--runtime"),
        }
    }
}

/// How it was asked for.
#[derive(Debug)]
pub(crate) struct Options {
    runs: usize,
    json: PathBuf,
    podman: bool,
    subject: Subject,
}

impl Options {
    pub(crate) fn parse(mut parser: Parser) -> Result<Self> {
        let json = build::workspace().join("target/bench.json");
        let mut options = Self { runs: 50, json, podman: true, subject: Subject::Pods };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("runs") => options.runs = parser.value()?.parse()?,
                Arg::Long("json") => {
                    options.json = std::path::absolute(PathBuf::from(parser.value()?))?;
                }
                Arg::Long("no-podman") => options.podman = false,
                Arg::Long("runtime") => options.subject = Subject::Runtime,
                Arg::Long("images") => options.subject = Subject::Images,
                Arg::Long("network") => options.subject = Subject::Network,
                other => return Err(other.unexpected().into()),
            }
        }
        if options.subject == Subject::Runtime && !options.podman {
            bail!("--no-podman has no meaning with --runtime, which measures no Podman");
        }
        if options.runs == 0 {
            bail!("--runs must be at least 1");
        }
        Ok(options)
    }
}

/// Builds, enters a node, measures and reports.
pub(crate) fn main(options: &Options) -> Result<ExitCode> {
    match std::env::var_os(INSIDE) {
        None => enter(options),
        Some(sandbar) => inside(options, Path::new(&sandbar)),
    }
}

/// Builds what is measured, and runs this chore again in a node.
fn enter(options: &Options) -> Result<ExitCode> {
    apt::install(&[Package::BUSYBOX])?;
    // Without Podman there is less to see, and nothing wrong.
    let peers: &[Package<'_>] = match (options.subject, options.podman) {
        (Subject::Runtime, _) => &[Package::CRUN, Package::RUNC],
        (_, true) => &PODMAN,
        (_, false) => &[],
    };
    match options.subject {
        Subject::Network => apt::install(&TRAFFIC)?,
        Subject::Images => apt::install(&REGISTRY)?,
        Subject::Pods | Subject::Runtime => {}
    }
    if let Err(error) = apt::install(peers) {
        println!("note: {error:#}");
    }
    let built = build::release()?;
    let sandbar = built.get("sandbar").context("cargo built no sandbar")?;
    let mut words: Vec<OsString> = vec![std::env::current_exe()?.into(), "bench".into()];
    words.extend(["--runs".into(), options.runs.to_string().into()]);
    words.extend(["--json".into(), options.json.clone().into()]);
    words.extend((!options.podman).then(|| "--no-podman".into()));
    words.extend(options.subject.option().map(Into::into));
    let status = node::command(&words)?.env(INSIDE, sandbar).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures, in the node.
fn inside(options: &Options, sandbar: &Path) -> Result<ExitCode> {
    hide_version_2_beside_version_1()?;
    // Of the node's own memory file systems, as all that the peers write is on those.
    let scratch = tempfile::tempdir_in("/run")?;
    let archive = scratch.path().join("busybox.tar");
    let rootfs = Rootfs::new()?;
    rootfs.busybox()?;
    if options.subject == Subject::Runtime {
        return runtimes(options, sandbar, scratch.path(), rootfs.path());
    }
    rootfs.archive(&archive)?;

    let sandbar = Peer::sandbar(sandbar, scratch.path(), &archive)?;
    let mut podman = None;
    let mut notes = Vec::new();
    if options.podman {
        match Peer::podman(scratch.path(), &archive) {
            Ok(peer) => podman = Some(peer),
            Err(error) => notes.push(format!("Podman was not measured: {error:#}")),
        }
    }
    let peers: Vec<&Peer> = [Some(&sandbar), podman.as_ref()].into_iter().flatten().collect();
    let bounded = match options.subject {
        Subject::Network => Some(network::measure(scratch.path(), &peers, options.runs)?),
        Subject::Images => Some(images::measure(scratch.path(), &peers, options.runs)?),
        Subject::Pods | Subject::Runtime => None,
    };
    if let Some(comparison) = bounded {
        notes.iter().for_each(|note| println!("note: {note}"));
        println!("\n{comparison}");
        write(options, &comparison.json())?;
        return Ok(if comparison.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut rows = Vec::new();
    for case in measure::CASES {
        println!("measuring {}", case.what);
        rows.push(measure::measure(&case, &peers, options.runs, WARM_UP));
    }
    println!("measuring {}", memory::WHAT);
    rows.push(memory::measure(&peers, PODS));

    let versions = peers.iter().map(|peer| peer.version()).collect::<Result<_>>()?;
    let report = Report { rows, runs: options.runs, notes, versions };
    println!("\n{report}");
    report.write(&options.json)?;
    println!("The same as JSON: {}", options.json.display());
    Ok(if report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write(options: &Options, json: &Value) -> Result<()> {
    std::fs::write(&options.json, format!("{json:#}\n"))
        .with_context(|| format!("can't write {}", options.json.display()))?;
    println!("The same as JSON: {}", options.json.display());
    Ok(())
}

/// Measures OCI runtimes.
fn runtimes(options: &Options, sandbar: &Path, scratch: &Path, rootfs: &Path) -> Result<ExitCode> {
    let comparison = runtimes::measure(sandbar, scratch, rootfs, options.runs, WARM_UP)?;
    println!("\n{comparison}");
    write(options, &comparison.json())?;
    Ok(if comparison.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Takes cgroup version 2 out of the node where version 1 is what is used and both have controllers: crun 1.8 refuses
/// such a machine. Both peers see the same.
fn hide_version_2_beside_version_1() -> Result<()> {
    let unified = Path::new("/sys/fs/cgroup/unified");
    let controllers = std::fs::read_to_string(unified.join("cgroup.controllers"));
    if controllers.is_ok_and(|controllers| !controllers.trim().is_empty()) {
        rustix::mount::unmount(unified, rustix::mount::UnmountFlags::DETACH)
            .with_context(|| format!("can't unmount {}", unified.display()))?;
    }
    Ok(())
}
