//! Timing commands.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::peers::Peer;
use super::report::{Row, Sample};
use crate::shell;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) what: &'static str,
    target: Duration,
    /// Before all runs.
    before: &'static [&'static [&'static str]],
    /// The commands that are timed.
    timed: &'static [&'static [&'static str]],
    /// After each run, not timed.
    after: &'static [&'static [&'static str]],
    /// After all runs.
    finally: &'static [&'static [&'static str]],
}

/// All cases, in the order of the table.
pub(crate) const CASES: [Case; 4] = [
    Case {
        what: "`run --rm --network none IMAGE true`",
        target: Duration::from_millis(8),
        before: &[],
        timed: &[&["run", "--rm", "--network", "none", "localhost/bench", "true"]],
        after: &[],
        finally: &[],
    },
    Case {
        what: "`run --rm -p … IMAGE true` on the bridge",
        target: Duration::from_millis(15),
        before: &[],
        timed: &[&["run", "--rm", "-p", "18080:80", "localhost/bench", "true"]],
        after: &[],
        finally: &[],
    },
    Case {
        what: "`exec CONTAINER true`",
        target: Duration::from_millis(5),
        before: &[&["run", "-d", "--name", "b", "--network", "none", "localhost/bench", "sleep", "900"]],
        timed: &[&["exec", "b", "true"]],
        after: &[],
        finally: &[&["rm", "-f", "b"]],
    },
    Case {
        what: "a pod of pause and two containers, bridged, one port",
        target: Duration::from_millis(20),
        before: &[],
        timed: &[
            &["pod", "create", "--name", "p", "-p", "18081:80"],
            &["run", "-d", "--pod", "p", "localhost/bench", "sleep", "900"],
            &["run", "-d", "--pod", "p", "localhost/bench", "sleep", "900"],
        ],
        after: &[&["pod", "rm", "-f", "p"]],
        finally: &[],
    },
];

/// Measures a case, the peers taking turns.
pub(crate) fn measure(case: Case, peers: &[Peer], runs: usize, warm_up: usize) -> Result<Row> {
    let mut samples: Vec<Result<Sample>> =
        peers.iter().map(|peer| Ok(Sample::of(peer.name))).collect();
    let fails = |sample: &mut Result<Sample>, result: Result<Duration>, counts: bool| match result {
        Ok(took) => {
            if let (Ok(sample), true) = (sample.as_mut(), counts) {
                sample.add(took);
            }
        }
        Err(error) => *sample = Err(error),
    };
    for (peer, sample) in peers.iter().zip(&mut samples) {
        let prepared = all(peer, case.before);
        fails(sample, prepared.map(|()| Duration::ZERO), false);
    }
    for run in 0..warm_up + runs {
        for (peer, sample) in peers.iter().zip(&mut samples) {
            if sample.is_ok() {
                let took = once(peer, case);
                fails(sample, took, run >= warm_up);
            }
        }
    }
    for (peer, sample) in peers.iter().zip(&mut samples) {
        let cleared = all(peer, case.finally);
        if sample.is_ok() {
            fails(sample, cleared.map(|()| Duration::ZERO), false);
        }
    }
    Row::timed(case.what, case.target, samples)
}

/// One run: what is timed, then what clears up.
fn once(peer: &Peer, case: Case) -> Result<Duration> {
    let start = Instant::now();
    let done = all(peer, case.timed);
    let took = start.elapsed();
    let cleared = all(peer, case.after);
    done.and(cleared).map(|()| took)
}

fn all(peer: &Peer, commands: &[&[&str]]) -> Result<()> {
    for words in commands {
        shell::output(&mut peer.command(words))?;
    }
    Ok(())
}
