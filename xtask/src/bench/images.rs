//! `cargo xtask bench --images`: how long it takes to pull, load and list images; beside Podman, with one registry on
//! loopback for both.

mod archive;
mod registry;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::comparison::{Bound, Comparison, Finding, Line, median};
use super::peers::Peer;
use crate::shell;
use archive::Archive;
use registry::Registry;

/// Of Podman's time.
const OF_PODMAN: f64 = 0.5;
/// Of the speed at which gunzip alone reads the largest layer.
const OF_GUNZIP: f64 = 0.8;
/// In MiB.
const MEMORY: f64 = 64.0;
/// In milliseconds.
const AGAIN: f64 = 50.0;
const LISTED: f64 = 50.0;

/// How many images are listed.
const MANY: usize = 1_000;

/// Measures what takes long `runs` times divided by ten.
pub(super) fn measure(scratch: &Path, peers: &[&Peer], runs: usize) -> Result<Comparison> {
    println!("making an image of {} MB", archive::MEGABYTES.iter().sum::<u64>());
    let archive = Archive::new(scratch)?;
    let registry = Registry::start(scratch)?;
    registry.take(&archive)?;
    let (own, _) = peers.split_first().context("nobody is measured")?;
    let rounds = runs.div_ceil(10);
    let mut lines = Vec::new();
    println!("measuring pulls");
    let pull = ["pull", "--tls-verify=false", registry::IMAGE];
    let pulled = times(peers, rounds, &pull, registry::IMAGE);
    lines.push(ratio("pulling and unpacking 500 MB in 8 layers", &pulled));
    lines.push(beside_gunzip(&pulled, &registry));
    println!("measuring loads");
    let load = ["load", "-i", &archive.path];
    let loaded = times(peers, rounds, &load, archive::NAME);
    lines.push(ratio("loading the same, uncompressed", &loaded));
    println!("measuring memory");
    lines.push(memory(own, &pull, registry::IMAGE, "most memory of a pull"));
    lines.push(memory(own, &load, archive::NAME, "most memory of a load"));
    println!("measuring pulls of what is there");
    lines.push(again(peers, &pull, runs));
    println!("measuring lists of {MANY} images");
    lines.push(listed(peers, scratch, runs));
    Ok(Comparison { lines, runs })
}

/// What each peer needed, in seconds.
type Times = Vec<(&'static str, Result<Vec<f64>, String>)>;

/// How long a command takes that brings `image`, which is removed each time. Peers take turns.
fn times(peers: &[&Peer], rounds: usize, words: &[&str], image: &str) -> Times {
    let mut times: Vec<Result<Vec<f64>>> = peers.iter().map(|_| Ok(Vec::new())).collect();
    for _ in 0..rounds {
        for (peer, times) in peers.iter().zip(&mut times) {
            let Ok(taken) = times else { continue };
            match once(peer, words, image) {
                Ok(took) => taken.push(took),
                Err(error) => *times = Err(error),
            }
        }
    }
    let told = times.into_iter().map(|times| times.map_err(|error| format!("{error:#}")));
    peers.iter().map(|peer| peer.name).zip(told).collect()
}

fn once(peer: &Peer, words: &[&str], image: &str) -> Result<f64> {
    let start = Instant::now();
    peer.run(words)?;
    let took = start.elapsed().as_secs_f64();
    peer.run(&["rmi", image])?;
    Ok(took)
}

/// The first peer's time as a share of the second's.
fn ratio(what: &str, times: &Times) -> Line {
    let medians: Vec<Result<f64, String>> = times.iter().map(|(_, times)| middle(times)).collect();
    let finding = match medians.as_slice() {
        [Ok(own), Ok(podman)] => {
            let of = format!("{own:.2} s of {podman:.2} s");
            Ok(Finding { value: own / podman, of })
        }
        [Err(why), ..] | [_, Err(why)] => Err(why.clone()),
        _ => Err("there is no Podman to compare with".to_owned()),
    };
    Line {
        what: format!("{what}: of Podman's time"),
        bound: Bound::AtMost(OF_PODMAN),
        unit: "",
        measured: vec![("Sandbar", finding)],
    }
}

fn middle(times: &Result<Vec<f64>, String>) -> Result<f64, String> {
    median(&mut times.clone()?).ok_or_else(|| "nothing was timed".to_owned())
}

/// How fast a pull is beside gunzip of the largest layer alone.
fn beside_gunzip(pulled: &Times, registry: &Registry) -> Line {
    let gunzip = registry.gunzip_largest().map_err(|error| format!("{error:#}"));
    let measured = pulled.iter().map(|(name, times)| {
        let finding = middle(times).and_then(|pull| {
            let gunzip = gunzip.clone()?;
            let of = format!("gunzip {gunzip:.2} s, pull {pull:.2} s");
            Ok(Finding { value: gunzip / pull, of })
        });
        (*name, finding)
    });
    Line {
        what: "gunzip of the largest layer alone, of the time that the whole pull takes".to_owned(),
        bound: Bound::AtLeast(OF_GUNZIP),
        unit: "",
        measured: measured.collect(),
    }
}

/// The most memory that a command has, in MiB.
fn memory(peer: &Peer, words: &[&str], image: &str, what: &str) -> Line {
    let finding = peak(peer, words).and_then(|mebibytes| {
        peer.run(&["rmi", image])?;
        Ok(Finding { value: mebibytes, of: "VmHWM".to_owned() })
    });
    Line {
        what: what.to_owned(),
        bound: Bound::AtMost(MEMORY),
        unit: "MiB",
        measured: vec![(peer.name, finding.map_err(|error| format!("{error:#}")))],
    }
}

/// `VmHWM` of proc_pid_status(5), as it last was.
fn peak(peer: &Peer, words: &[&str]) -> Result<f64> {
    let mut command = peer.command(words);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().with_context(|| shell::line(&command))?;
    let mut kibibytes = None;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let told = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = told.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        kibibytes = number.and_then(|number| number.parse::<f64>().ok()).or(kibibytes);
        std::thread::sleep(Duration::from_millis(2));
    };
    if !status.success() {
        bail!("{}: {status}", shell::line(&command));
    }
    Ok(kibibytes.context("it ended too soon")? / 1024.0)
}

/// How long a pull takes when all is there.
fn again(peers: &[&Peer], pull: &[&str], runs: usize) -> Line {
    let measured = peers.iter().map(|peer| {
        let finding = timed(peer, &[pull], runs, pull);
        let gone = peer.run(&["rmi", registry::IMAGE]);
        let finding = finding.and_then(|found| gone.map(|()| found));
        (peer.name, finding.map_err(|error| format!("{error:#}")))
    });
    Line {
        what: "pulling again what is there".to_owned(),
        bound: Bound::AtMost(AGAIN),
        unit: "ms",
        measured: measured.collect(),
    }
}

/// How long it takes to list many images.
fn listed(peers: &[&Peer], scratch: &Path, runs: usize) -> Line {
    let measured = peers.iter().map(|peer| {
        let finding = archive::empty(scratch).and_then(|archive| {
            // Podman takes minutes to make so many.
            let many = if peer.name == "Sandbar" { MANY } else { MANY / 10 };
            for number in 0..many {
                let label = format!("ENV NUMBER={number}");
                let name = format!("localhost/many:{number}");
                peer.run(&["import", "--change", &label, &archive, &name])?;
            }
            let found = timed(peer, &[], runs, &["images"])?;
            Ok(Finding { of: format!("{many} images"), ..found })
        });
        (peer.name, finding.map_err(|error| format!("{error:#}")))
    });
    Line {
        what: format!("listing {MANY} images"),
        bound: Bound::AtMost(LISTED),
        unit: "ms",
        measured: measured.collect(),
    }
}

/// How long a command takes, after others, in milliseconds.
fn timed(peer: &Peer, before: &[&[&str]], runs: usize, words: &[&str]) -> Result<Finding> {
    before.iter().try_for_each(|words| peer.run(words))?;
    let mut times = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        peer.run(words)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let value = median(&mut times).context("nothing was timed")?;
    Ok(Finding { value, of: format!("{runs} runs") })
}
