//! How long it takes to attach a pod to a network, and that many at once get an address each.

use std::collections::BTreeSet;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::bench::comparison::{Bound, Finding, Line, median};
use crate::bench::peers::{IMAGE, Peer};

/// In milliseconds.
const MOST: f64 = 3.0;

/// How many pods are attached at once.
const AT_ONCE: usize = 200;

/// By the difference that a network makes to a container's whole life.
pub(super) fn measure(peers: &[&Peer], runs: usize) -> Line {
    let measured = peers
        .iter()
        .map(|peer| (peer.name, difference(peer, runs).map_err(|error| format!("{error:#}"))));
    Line {
        what: "attaching a pod: `run --rm IMAGE true` on the bridge, less with `--network none`"
            .to_owned(),
        bound: Bound::AtMost(MOST),
        unit: "ms",
        measured: measured.collect(),
    }
}

fn difference(peer: &Peer, runs: usize) -> Result<Finding> {
    let ways = [["run", "--rm", "--network", "bridge"], ["run", "--rm", "--network", "none"]];
    let mut times = [Vec::new(), Vec::new()];
    for run in 0..runs + 3 {
        for (way, times) in ways.iter().zip(&mut times) {
            let words: Vec<&str> = way.iter().copied().chain([IMAGE, "true"]).collect();
            let start = Instant::now();
            peer.run(&words)?;
            if run >= 3 {
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let [with, without] = &mut times;
    let both = median(with).zip(median(without));
    let (with, without) = both.context("nothing was timed")?;
    Ok(Finding { value: with - without, of: format!("{with:.1} ms, {without:.1} ms") })
}

/// How many addresses so many pods have that are started at once, eight at a time.
pub(super) fn at_once(peer: &Peer) -> Line {
    let finding = addresses(peer).map_err(|error| format!("{error:#}"));
    for number in 0..AT_ONCE {
        let _gone = peer.run(&["pod", "rm", "-f", &name(number)]);
    }
    Line {
        what: format!("addresses of {AT_ONCE} pods that were attached at once"),
        bound: Bound::AtLeast(200.0),
        unit: "",
        measured: vec![(peer.name, finding)],
    }
}

fn name(number: usize) -> String {
    format!("once{number}")
}

fn addresses(peer: &Peer) -> Result<Finding> {
    const THREADS: usize = 8;
    let start = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|first| {
                scope.spawn(move || {
                    (first..AT_ONCE).step_by(THREADS).try_for_each(|number| {
                        peer.run(&["pod", "create", "--name", &name(number)])?;
                        peer.run(&["pod", "start", &name(number)])
                    })
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(done) => done,
            Err(_panic) => anyhow::bail!("a thread panicked"),
        })
    })?;
    let took = start.elapsed().as_secs_f64();
    let mut found = BTreeSet::new();
    for number in 0..AT_ONCE {
        let told = peer.tells(&["pod", "inspect", &name(number)])?;
        let address = told[0]["NetworkSettings"]["IPAddress"].as_str();
        let address = address.with_context(|| format!("{told} tells no address"))?;
        ensure!(!address.is_empty(), "a pod has no address");
        found.insert(address.to_owned());
    }
    let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
    Ok(Finding { value: f64::from(count), of: format!("made in {took:.1} s") })
}
