//! A line of what was measured, and what its values come to.

use std::fmt;

use anyhow::Result;
use serde_json::{Value, json};

/// What values are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Milliseconds,
    Kibibytes,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Milliseconds => "ms",
            Self::Kibibytes => "KiB",
        })
    }
}

/// What was measured of one peer, or why nothing was.
#[derive(Debug)]
pub(crate) enum Measured {
    /// In rising order, never empty.
    Values(Vec<f64>),
    Not(String),
}

impl From<Result<Vec<f64>>> for Measured {
    fn from(result: Result<Vec<f64>>) -> Self {
        match result {
            Ok(values) if values.is_empty() => Self::Not("nothing was counted".to_owned()),
            Ok(mut values) => {
                values.sort_by(f64::total_cmp);
                Self::Values(values)
            }
            Err(error) => Self::Not(format!("{error:#}")),
        }
    }
}

impl Measured {
    /// The middle value, or the mean of the two in the middle.
    pub(crate) fn median(&self) -> Option<f64> {
        let Self::Values(values) = self else { return None };
        let middle = values.len() / 2;
        let upper = *values.get(middle)?;
        match middle.checked_sub(1).and_then(|lower| values.get(lower)) {
            Some(lower) if values.len().is_multiple_of(2) => Some(f64::midpoint(*lower, upper)),
            _ => Some(upper),
        }
    }

    /// The least value that 95 of 100 don't exceed; none of a single one.
    pub(crate) fn p95(&self) -> Option<f64> {
        match self {
            Self::Values(values) if values.len() > 1 => {
                values.get((values.len() * 95).div_ceil(100) - 1).copied()
            }
            _ => None,
        }
    }

    /// Why nothing was measured.
    pub(crate) fn why_not(&self) -> Option<&str> {
        match self {
            Self::Values(_) => None,
            Self::Not(why) => Some(why),
        }
    }

    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Values(values) => json!({
                "median": self.median(), "p95": self.p95(), "values": values,
            }),
            Self::Not(why) => json!({ "not_measured": why }),
        }
    }
}

/// A line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: &'static str,
    /// At most.
    pub(crate) target: f64,
    pub(crate) unit: Unit,
    /// By the peer's name, Sandbar's first.
    pub(crate) measured: Vec<(&'static str, Measured)>,
}

impl Row {
    /// Sandbar's.
    pub(crate) fn own(&self) -> Option<&Measured> {
        self.measured.first().map(|(_, measured)| measured)
    }

    /// The other's, if there is one.
    pub(crate) fn other(&self) -> Option<&Measured> {
        self.measured.get(1).map(|(_, measured)| measured)
    }

    /// Whether the median is within the target; `None` if there is no median.
    pub(crate) fn is_met(&self) -> Option<bool> {
        Some(self.own()?.median()? <= self.target)
    }

    pub(crate) fn json(&self) -> Value {
        let peers = self.measured.iter().map(|(name, it)| (name.to_lowercase(), it.json()));
        let mut row = json!({
            "what": self.what,
            "unit": self.unit.to_string(),
            "target": self.target,
            "met": self.is_met(),
        });
        if let Value::Object(object) = &mut row {
            object.extend(peers);
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[f64]) -> Measured {
        Measured::from(Ok(values.to_vec()))
    }

    #[test]
    fn medians_and_percentiles() {
        let five = values(&[5.0, 1.0, 9.0, 3.0, 7.0]);
        assert_eq!((five.median(), five.p95()), (Some(5.0), Some(9.0)));
        assert_eq!(values(&[4.0, 1.0, 2.0, 3.0]).median(), Some(2.5));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(values(&hundred).p95(), Some(95.0));
        assert_eq!((values(&[8.0]).median(), values(&[8.0]).p95()), (Some(8.0), None));
    }

    #[test]
    fn what_was_not_measured_has_no_number() {
        let not = Measured::from(Err(anyhow::anyhow!("no bridge")));
        assert_eq!((not.median(), not.p95(), not.why_not()), (None, None, Some("no bridge")));
        assert_eq!(values(&[]).median(), None);
        let measured = vec![("Sandbar", values(&[3.0])), ("Podman", not)];
        let row = Row { what: "w", target: 2.0, unit: Unit::Milliseconds, measured };
        let json = row.json();
        assert_eq!(json["sandbar"]["median"], 3.0);
        assert_eq!(json["podman"], json!({ "not_measured": "no bridge" }));
        assert_eq!(json["met"], false);
    }
}
