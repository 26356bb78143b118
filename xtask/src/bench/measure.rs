//! Timing commands.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::peers::{IMAGE, Peer};
use super::row::{Measured, Row, Unit};

/// Words of a command line.
type Words = &'static [&'static str];

/// What is measured.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) what: &'static str,
    /// At most so many milliseconds.
    target: u32,
    /// Before all runs.
    before: &'static [Words],
    /// The commands that are timed together.
    timed: &'static [Words],
    /// After each run, not timed.
    after: &'static [Words],
    /// After all runs.
    finally: &'static [Words],
}

/// All cases, in the order of the table.
pub(crate) const CASES: [Case; 4] = [
    Case {
        what: "`run --rm --network none IMAGE true`",
        target: 8,
        before: &[],
        timed: &[&["run", "--rm", "--network", "none", IMAGE, "true"]],
        after: &[],
        finally: &[],
    },
    Case {
        what: "`run --rm -p … IMAGE true` on the bridge",
        target: 15,
        before: &[],
        timed: &[&["run", "--rm", "-p", "18080:80", IMAGE, "true"]],
        after: &[],
        finally: &[],
    },
    Case {
        what: "`exec CONTAINER true`",
        target: 5,
        before: &[&[
            "run",
            "-d",
            "--name",
            "b",
            "--stop-signal",
            "KILL",
            "--network",
            "none",
            IMAGE,
            "sleep",
            "86400",
        ]],
        timed: &[&["exec", "b", "true"]],
        after: &[],
        finally: &[&["rm", "-f", "b"]],
    },
    Case {
        what: "a pod of pause and two containers, bridged, one port: created and running",
        target: 20,
        before: &[],
        timed: &[
            &["pod", "create", "--name", "p", "-p", "18081:80"],
            &["run", "-d", "--pod", "p", "--stop-signal", "KILL", IMAGE, "sleep", "86400"],
            &["run", "-d", "--pod", "p", "--stop-signal", "KILL", IMAGE, "sleep", "86400"],
        ],
        after: &[&["pod", "rm", "-f", "p"]],
        finally: &[],
    },
];

/// Measures a case, the peers taking turns. A peer that fails is out of it, and why is kept.
pub(crate) fn measure(case: &Case, peers: &[&Peer], runs: usize, warm_up: usize) -> Row {
    let mut samples: Vec<(&Peer, Result<Vec<f64>>)> =
        peers.iter().map(|peer| (*peer, all(peer, case.before).map(|()| Vec::new()))).collect();
    for run in 0..warm_up + runs {
        for (peer, sample) in &mut samples {
            let Ok(values) = sample else { continue };
            match once(peer, case) {
                Ok(took) if run >= warm_up => values.push(took.as_secs_f64() * 1000.0),
                Ok(_) => {}
                Err(error) => *sample = Err(error),
            }
        }
    }
    let measured = samples.into_iter().map(|(peer, sample)| {
        let cleared = all(peer, case.finally);
        (peer.name, Measured::from(sample.and_then(|values| cleared.map(|()| values))))
    });
    Row {
        what: case.what,
        target: f64::from(case.target),
        unit: Unit::Milliseconds,
        measured: measured.collect(),
    }
}

/// One run: what is timed, then what clears up.
fn once(peer: &Peer, case: &Case) -> Result<Duration> {
    let start = Instant::now();
    let done = all(peer, case.timed);
    let took = start.elapsed();
    let cleared = all(peer, case.after);
    done.and(cleared).map(|()| took)
}

fn all(peer: &Peer, commands: &[Words]) -> Result<()> {
    commands.iter().try_for_each(|words| peer.run(words))
}
