//! What pods keep of the machine's memory while they run.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::peers::Peer;
use super::report::{Row, Sample};
use crate::shell;

/// The most that a pod's supervisor and pause may keep, in bytes.
const TARGET: u64 = 256 << 10;

/// What of each peer stays for a pod, by the beginning of its command line.
const KEPT: [(&str, &[&str]); 2] = [
    ("Sandbar", &["sandbar-supervisor", "/pause"]),
    ("Podman", &["/usr/bin/conmon", "conmon", "/catatonit", "/usr/libexec/podman/catatonit", "/pause"]),
];

/// Proportional set size (PSS) a pod of what stays, with `pods` pods of pause and two containers running.
pub(crate) fn measure(peers: &[Peer], pods: usize) -> Result<Row> {
    let samples = peers.iter().map(|peer| one(peer, pods)).collect();
    Row::sized("supervisor and pause of a pod, PSS", TARGET, samples)
}

fn one(peer: &Peer, pods: usize) -> Result<Sample> {
    let names: Vec<String> = (0..pods).map(|number| format!("m{number}")).collect();
    let started = names.iter().enumerate().try_for_each(|(number, name)| start(peer, name, number));
    // What a supervisor needed for its start it gives back a second later.
    std::thread::sleep(Duration::from_secs(3));
    let kept = started.and_then(|()| kept(peer));
    for name in &names {
        // The first error is told; here all goes that can.
        let _removed = shell::output(&mut peer.command(&["pod", "rm", "-f", name]));
    }
    let mut sample = Sample::of(peer.name);
    let pods = u64::try_from(pods).context("too many pods")?;
    sample.set(kept? / pods);
    Ok(sample)
}

fn start(peer: &Peer, name: &str, number: usize) -> Result<()> {
    let port = format!("{}:80", 19000 + number);
    shell::output(&mut peer.command(&["pod", "create", "--name", name, "-p", &port]))?;
    for _ in 0..2 {
        let words = ["run", "-d", "--pod", name, "localhost/bench", "sleep", "900"];
        shell::output(&mut peer.command(&words))?;
    }
    Ok(())
}

/// The bytes that a peer's processes keep.
fn kept(peer: &Peer) -> Result<u64> {
    let beginnings = KEPT.iter().find(|(name, _)| *name == peer.name).map(|(_, kept)| *kept);
    let beginnings = beginnings.unwrap_or_default();
    let mut bytes = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let path = entry.path();
        // A process may end while it is looked at.
        let Ok(line) = fs::read(path.join("cmdline")) else { continue };
        let program = line.split(|&byte| byte == 0).next().unwrap_or_default();
        let ours = beginnings.iter().any(|kept| program == kept.as_bytes());
        if ours && is_of_this_run(&path) {
            bytes += proportional(&path).unwrap_or(0);
        }
    }
    Ok(bytes)
}

/// Whether a process began after this one, and so is none that the machine had before.
fn is_of_this_run(process: &Path) -> bool {
    let start = |path: &Path| -> Option<u64> {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
    };
    start(process) > start(Path::new("/proc/self"))
}

/// A process's proportional set size, in bytes (proc_pid_smaps(5)).
fn proportional(process: &Path) -> Option<u64> {
    let rollup = fs::read_to_string(process.join("smaps_rollup")).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib << 10)
}
