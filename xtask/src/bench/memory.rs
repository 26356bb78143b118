//! What a pod keeps of the machine's memory while it runs, beside what runs in its containers.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::peers::{IMAGE, Peer};
use super::row::{Measured, Row, Unit};
use crate::tree::parent_of;

/// The line of the table.
pub(crate) const WHAT: &str = "supervisor and pause of such a pod, PSS per pod with 20 running";

/// The most that they may keep, in KiB.
const TARGET: u32 = 256;

/// What pods have settled after: a supervisor gives back what it needed for the start when it has been idle.
const SETTLE: Duration = Duration::from_secs(5);

/// Starts `pods` pods of pause and two containers, and measures what keeps them.
pub(crate) fn measure(peers: &[&Peer], pods: u16) -> Row {
    let measured = peers.iter().map(|peer| (peer.name, Measured::from(one(peer, pods)))).collect();
    Row { what: WHAT, target: f64::from(TARGET), unit: Unit::Kibibytes, measured }
}

fn one(peer: &Peer, pods: u16) -> Result<Vec<f64>> {
    let started = (0..pods).try_for_each(|number| start(peer, number));
    let kept = started.and_then(|()| {
        thread::sleep(SETTLE);
        kept(peer, pods)
    });
    // All goes that can; the first error is the one that is told.
    let removed: Vec<_> =
        (0..pods).map(|number| peer.run(&["pod", "rm", "-f", &name(number)])).collect();
    let kept = kept?;
    removed.into_iter().collect::<Result<()>>()?;
    Ok(vec![kept / f64::from(pods)])
}

fn name(number: u16) -> String {
    format!("m{number}")
}

fn start(peer: &Peer, number: u16) -> Result<()> {
    let name = name(number);
    peer.run(&["pod", "create", "--name", &name, "-p", &format!("{}:80", 19000 + number)])?;
    for _ in 0..2 {
        peer.run(&["run", "-d", "--pod", &name, "--stop-signal", "KILL", IMAGE, "sleep", "86400"])?;
    }
    Ok(())
}

/// The KiB that is kept by pauses, and by whatever is the parent of a container's process: Sandbar's supervisors,
/// Podman's conmons.
fn kept(peer: &Peer, pods: u16) -> Result<f64> {
    let mut keepers = BTreeSet::new();
    let mut pauses = 0;
    for container in peer.containers()? {
        let pid = container["Pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let pid = pid.filter(|pid| *pid != 0).context("a container does not run")?;
        keepers.insert(parent_of(pid)?);
        if container["IsInfra"] == Value::Bool(true) {
            keepers.insert(pid);
            pauses += 1;
        }
    }
    if pauses != pods {
        bail!("{pods} pods have {pauses} pauses");
    }
    keepers.into_iter().map(proportional).sum()
}

/// A process's proportional set size in KiB (proc_pid_smaps(5)).
fn proportional(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("can't read {path}"))?;
    pss(&text).map(f64::from).with_context(|| format!("{path} tells no Pss"))
}

fn pss(rollup: &str) -> Option<u32> {
    let rest = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    rest.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proportional_size_is_that_of_its_line() {
        let rollup =
            "55d0-7ffd ---p 0 00:00 0 [rollup]\nRss:  1884 kB\nPss:   140 kB\nPss_Dirty: 8 kB\n";
        assert_eq!(pss(rollup), Some(140));
        assert_eq!(pss("Rss: 1 kB\n"), None);
        assert!(proportional(std::process::id()).unwrap() > 0.0);
    }
}
