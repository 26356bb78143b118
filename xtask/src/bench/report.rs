//! The table of what was measured, and the same as JSON.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// What was measured of one peer: milliseconds, or KiB.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    name: &'static str,
    values: Vec<f64>,
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    what: String,
    unit: &'static str,
    target: f64,
    samples: Vec<Sample>,
}

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) runs: usize,
    pub(crate) notes: Vec<String>,
}

impl Sample {
    pub(crate) fn of(name: &'static str) -> Self {
        Self { name, values: Vec::new() }
    }

    pub(crate) fn add(&mut self, took: Duration) {
        self.values.push(took.as_secs_f64() * 1000.0);
    }

    /// A size, in bytes.
    pub(crate) fn set(&mut self, bytes: u64) {
        // A few MiB: no number that a float can't hold.
        self.values = vec![u32::try_from(bytes >> 10).map_or(f64::MAX, f64::from)];
    }

    /// The value that so many hundredths of all are at or below.
    fn percentile(&self, hundredths: usize) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get((sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1))).copied()
    }
}

impl Row {
    /// A row of times; a peer that failed is told and left out, Sandbar's failure is ours.
    pub(crate) fn timed(
        what: &str,
        target: Duration,
        samples: Vec<Result<Sample>>,
    ) -> Result<Self> {
        Self::new(what, "ms", target.as_secs_f64() * 1000.0, samples)
    }

    /// A row of sizes.
    pub(crate) fn sized(what: &str, target: u64, samples: Vec<Result<Sample>>) -> Result<Self> {
        let target = u32::try_from(target >> 10).context("a target is small")?;
        Self::new(what, "KiB", f64::from(target), samples)
    }

    fn new(
        what: &str,
        unit: &'static str,
        target: f64,
        samples: Vec<Result<Sample>>,
    ) -> Result<Self> {
        let mut kept = Vec::new();
        for (index, sample) in samples.into_iter().enumerate() {
            match sample {
                Err(error) if index > 0 => println!("a peer was not measured: {error:#}"),
                sample => kept.push(sample?),
            }
        }
        Ok(Self { what: what.to_owned(), unit, target, samples: kept })
    }

    fn median(&self, name: &str) -> Option<f64> {
        self.samples.iter().find(|sample| sample.name == name)?.percentile(50)
    }
}

impl Report {
    /// Writes it as JSON.
    pub(crate) fn write(&self, to: &Path) -> Result<()> {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let samples: Vec<Value> = row
                    .samples
                    .iter()
                    .map(|sample| {
                        let (median, p95) = (sample.percentile(50), sample.percentile(95));
                        json!({"name": sample.name, "median": median, "p95": p95, "values": sample.values})
                    })
                    .collect();
                json!({"what": row.what, "unit": row.unit, "target": row.target, "samples": samples})
            })
            .collect();
        let text = serde_json::to_string_pretty(
            &json!({"runs": self.runs, "rows": rows, "notes": self.notes}),
        )?;
        std::fs::write(to, text).with_context(|| format!("can't write {}", to.display()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Medians of {} runs.\n", self.runs)?;
        writeln!(f, "| what | at most | Sandbar | 95 % | Podman | |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for row in &self.rows {
            let unit = row.unit;
            let own = row.median("Sandbar");
            let shown = |value: Option<f64>| {
                value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.1} {unit}"))
            };
            let tail = row.samples.iter().find(|sample| sample.name == "Sandbar");
            let tail = tail.and_then(|sample| sample.percentile(95));
            let verdict = if own.is_some_and(|own| own <= row.target) { "ok" } else { "MISSED" };
            writeln!(
                f,
                "| {} | {} {unit} | {} | {} | {} | {verdict} |",
                row.what,
                row.target,
                shown(own),
                shown(tail),
                shown(row.median("Podman")),
            )?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "\n{note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_of_what_was_added() {
        let mut sample = Sample::of("Sandbar");
        for milliseconds in [5, 1, 9, 3, 7] {
            sample.add(Duration::from_millis(milliseconds));
        }
        assert_eq!(sample.percentile(50), Some(5.0));
        assert_eq!(sample.percentile(95), Some(9.0));
        assert_eq!(Sample::of("x").percentile(50), None);
    }
}
