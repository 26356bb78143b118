//! What is measured against a bound, beside Podman, and the table of it.

use std::fmt;

use serde_json::{Value, json};

/// What is compared with a bound, by peer, Sandbar's first.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) what: String,
    pub(super) bound: Bound,
    pub(super) unit: &'static str,
    pub(super) measured: Vec<(&'static str, Result<Finding, String>)>,
}

/// What a value should be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A value, and the numbers that it comes from.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) value: f64,
    pub(super) of: String,
}

impl Bound {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
        }
    }
}

/// All of it.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) lines: Vec<Line>,
    pub(super) runs: usize,
}

/// The middle value.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl Comparison {
    /// The numbers, for programs.
    pub(super) fn json(&self) -> Value {
        let lines = self.lines.iter().map(|line| {
            let peers = line.measured.iter().map(|(name, finding)| {
                let value = match finding {
                    Ok(finding) => json!({ "value": finding.value, "of": finding.of }),
                    Err(why) => json!({ "not_measured": why }),
                };
                (name.to_lowercase(), value)
            });
            json!({
                "what": line.what,
                "bound": line.bound.to_string(),
                "unit": line.unit,
                "met": line.is_met(),
                "peers": peers.collect::<serde_json::Map<_, _>>(),
            })
        });
        json!({ "runs": self.runs, "lines": lines.collect::<Vec<_>>() })
    }

    /// Whether all of Sandbar's own could be measured.
    pub(super) fn is_whole(&self) -> bool {
        self.lines.iter().all(|line| line.is_met().is_some())
    }
}

impl Line {
    /// Whether Sandbar's value is within the bound; `None` if there is none.
    fn is_met(&self) -> Option<bool> {
        let (_, own) = self.measured.first()?;
        own.as_ref().ok().map(|finding| self.bound.is_met(finding.value))
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} runs of what is timed.\n", self.runs)?;
        writeln!(
            f,
            "| what | wanted | Sandbar | of | Podman | of | |\n|---|---|---|---|---|---|---|"
        )?;
        for line in &self.lines {
            write!(f, "| {} | {} {} |", line.what, line.bound, line.unit)?;
            for peer in 0..2 {
                match line.measured.get(peer) {
                    Some((_, Ok(finding))) => {
                        write!(f, " {:.2} {} | {} |", finding.value, line.unit, finding.of)?;
                    }
                    Some((_, Err(_))) => write!(f, " not measured | |")?,
                    None => write!(f, " | |")?,
                }
            }
            let verdict = match line.is_met() {
                Some(true) => "ok",
                Some(false) => "MISSED",
                None => "FAILED",
            };
            writeln!(f, " {verdict} |")?;
        }
        for line in &self.lines {
            for (name, finding) in &line.measured {
                if let Err(why) = finding {
                    writeln!(f, "\n{name}, {}: not measured: {why}", line.what)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_tells_what_missed_and_what_was_not_measured() {
        let line = |what: &str, bound, value: Result<f64, String>| Line {
            what: what.to_owned(),
            bound,
            unit: "ms",
            measured: vec![("Sandbar", value.map(|value| Finding { value, of: "x".into() }))],
        };
        let lines = vec![
            line("a", Bound::AtLeast(0.95), Ok(0.97)),
            line("b", Bound::AtMost(3.0), Ok(3.5)),
            line("c", Bound::AtMost(3.0), Err("it broke".into())),
        ];
        let comparison = Comparison { lines, runs: 1 };
        let text = comparison.to_string();
        assert!(text.contains("| a | ≥ 0.95 ms | 0.97 ms | x | | | ok |"), "{text}");
        assert!(text.contains("| b | ≤ 3 ms | 3.50 ms | x | | | MISSED |"), "{text}");
        assert!(text.contains("Sandbar, c: not measured: it broke"), "{text}");
        assert!(!comparison.is_whole());
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
    }
}
