//! How long it takes to publish one more port of a running pod, by how many are published.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::bench::comparison::{Bound, Finding, Line, median};
use crate::bench::peers::{IMAGE, Peer};

/// Of the first port's time.
const GROWTH: f64 = 1.2;

/// Ports that are published when one more is timed, each list beside those before it.
const BEFORE: [(&str, Option<&str>); 3] = [
    ("1st", None),
    ("1,000th", Some("20000-20998:20000-20998")),
    ("10,000th", Some("21000-29999:21000-29999")),
];

pub(super) fn measure(peer: &Peer, runs: usize) -> Line {
    let found = all(peer, runs);
    let cleared = peer.run(&["rm", "-f", "publishing"]);
    let finding = found.and_then(|found| cleared.map(|()| found));
    Line {
        what: "publishing a port: the slowest of the 1st, 1,000th, 10,000th, of the fastest"
            .to_owned(),
        bound: Bound::AtMost(GROWTH),
        unit: "",
        measured: vec![(peer.name, finding.map_err(|error| format!("{error:#}")))],
    }
}

fn all(peer: &Peer, runs: usize) -> Result<Finding> {
    peer.run(&[
        "run",
        "-d",
        "--name",
        "publishing",
        "--stop-signal",
        "KILL",
        IMAGE,
        "sleep",
        "86400",
    ])?;
    let mut times = Vec::new();
    for (_, more) in BEFORE {
        if let Some(more) = more {
            peer.run(&["port", "add", "publishing", more])?;
        }
        let mut values = Vec::with_capacity(runs);
        for _ in 0..runs {
            let start = Instant::now();
            peer.run(&["port", "add", "publishing", "19999:80"])?;
            values.push(start.elapsed().as_secs_f64() * 1e3);
            peer.run(&["port", "rm", "publishing", "19999:80"])?;
        }
        times.push(median(&mut values).context("nothing was timed")?);
    }
    let (fastest, slowest) = times
        .iter()
        .fold((f64::MAX, 0.0_f64), |(least, most), time| (least.min(*time), most.max(*time)));
    let words = BEFORE.iter().zip(&times).map(|((which, _), time)| format!("{which} {time:.1} ms"));
    Ok(Finding { value: slowest / fastest, of: words.collect::<Vec<_>>().join(", ") })
}
