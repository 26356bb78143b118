//! All that was measured, as a table and as JSON.

use std::fmt;
use std::fs;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::row::{Measured, Row};

/// All that was measured.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
    pub(crate) runs: usize,
    pub(crate) notes: Vec<String>,
    /// What the peers call themselves.
    pub(crate) versions: Vec<String>,
}

impl Report {
    /// Whether all of Sandbar's own could be measured.
    pub(crate) fn is_whole(&self) -> bool {
        self.rows.iter().all(|row| row.is_met().is_some())
    }

    /// Writes it as JSON.
    pub(crate) fn write(&self, to: &Path) -> Result<()> {
        let report = json!({
            "runs": self.runs,
            "versions": self.versions,
            "machine": { "kernel": kernel(), "cpus": cpus() },
            "rows": self.rows.iter().map(Row::json).collect::<Vec<Value>>(),
            "notes": self.notes,
        });
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("can't create {}", folder.display()))?;
        }
        fs::write(to, format!("{report:#}\n"))
            .with_context(|| format!("can't write {}", to.display()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (versions, kernel, cpus) = (self.versions.join(", "), kernel(), cpus());
        let runs = self.runs;
        writeln!(f, "{versions}; Linux {kernel}, {cpus} CPUs; {runs} runs of each.\n")?;
        writeln!(f, "| what | at most | Sandbar, median | 95 % | Podman, median | ratio | |")?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        for row in &self.rows {
            let (own, other) = (row.own(), row.other());
            let shown = |value: Option<f64>, otherwise: &str| match value {
                Some(value) => format!("{value:.1} {}", row.unit),
                None => otherwise.to_owned(),
            };
            let own_median = own.and_then(Measured::median);
            let other_median = other.and_then(Measured::median);
            let ratio = own_median.zip(other_median).map(|(own, other)| other / own);
            writeln!(
                f,
                "| {} | {} {} | {} | {} | {} | {} | {} |",
                row.what,
                row.target,
                row.unit,
                shown(own_median, "not measured"),
                shown(own.and_then(Measured::p95), ""),
                shown(other_median, "not measured"),
                ratio.map_or_else(String::new, |ratio| format!("{ratio:.1}")),
                match row.is_met() {
                    Some(true) => "ok",
                    Some(false) => "MISSED",
                    None => "FAILED",
                },
            )?;
        }
        let why = self.rows.iter().flat_map(|row| {
            row.measured.iter().filter_map(|(name, measured)| {
                measured.why_not().map(|why| format!("{name}, {}: not measured: {why}", row.what))
            })
        });
        why.chain(self.notes.iter().cloned()).try_for_each(|note| writeln!(f, "\n{note}"))
    }
}

fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim_end().to_owned()
}

fn cpus() -> usize {
    available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::row::Unit;

    #[test]
    fn the_table_tells_what_missed_and_why_something_is_not_there() {
        let measured = |result: Result<f64>| Measured::from(result.map(|value| vec![value]));
        let row = |what, own: Result<f64>, other: Result<f64>| Row {
            what,
            target: 8.0,
            unit: Unit::Milliseconds,
            measured: vec![("Sandbar", measured(own)), ("Podman", measured(other))],
        };
        let mut report = Report {
            rows: vec![
                row("a", Ok(4.0), Ok(118.0)),
                row("b", Ok(8.5), Err(anyhow::anyhow!("no bridge"))),
            ],
            runs: 1,
            notes: Vec::new(),
            versions: vec!["sandbar 1".into()],
        };
        let text = report.to_string();
        assert!(text.contains("| a | 8 ms | 4.0 ms |  | 118.0 ms | 29.5 | ok |"), "{text}");
        assert!(text.contains("| b | 8 ms | 8.5 ms |  | not measured |  | MISSED |"), "{text}");
        assert!(text.contains("\nPodman, b: not measured: no bridge\n"), "{text}");
        assert!(report.is_whole());
        report.rows.push(row("c", Err(anyhow::anyhow!("it broke")), Ok(1.0)));
        assert!(report.to_string().contains("| FAILED |") && !report.is_whole());
    }
}
