//! What is said at the end: how each step ended, and how many tests passed, failed and were ignored.

use std::fmt;
use std::time::Duration;

use super::step::Outcome;
use super::tally::Tally;

#[derive(Debug)]
struct Line {
    name: &'static str,
    outcome: Outcome,
    tally: Tally,
    took: Duration,
}

/// All steps that were begun.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    lines: Vec<Line>,
}

impl Summary {
    /// Adds a step.
    pub(crate) fn add(
        &mut self,
        name: &'static str,
        outcome: Outcome,
        tally: Tally,
        took: Duration,
    ) {
        self.lines.push(Line { name, outcome, tally, took });
    }

    /// Whether any failed.
    pub(crate) fn failed(&self) -> bool {
        self.lines.iter().any(|line| matches!(line.outcome, Outcome::Failed(_)))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n=== summary")?;
        let mut all = Tally::default();
        let mut skipped = 0;
        for Line { name, outcome, tally, took } in &self.lines {
            let (word, why) = match outcome {
                Outcome::Passed => ("ok", String::new()),
                Outcome::Skipped(why) => ("skipped", why.clone()),
                Outcome::Failed(error) => ("FAILED", format!("{error:#}")),
            };
            skipped += u32::from(matches!(outcome, Outcome::Skipped(_)));
            let Tally { passed, failed, ignored, .. } = tally;
            let counts = match tally.total() {
                0 => String::new(),
                _ => format!("{passed} passed, {failed} failed, {ignored} ignored"),
            };
            let told: Vec<_> = [counts, why].into_iter().filter(|it| !it.is_empty()).collect();
            let text =
                format!("{name:<20} {word:<8} {:>6.1} s  {}", took.as_secs_f64(), told.join("; "));
            writeln!(f, "{}", text.trim_end())?;
            all += tally.clone();
        }
        for name in &all.names_of_ignored {
            writeln!(f, "ignored: {name}")?;
        }
        let Tally { passed, failed, ignored, .. } = all;
        write!(f, "tests: {passed} passed, {failed} failed, {ignored} ignored; ")?;
        let word = if self.failed() { "FAILED" } else { "ok" };
        writeln!(f, "steps: {}, {skipped} skipped: {word}", self.lines.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_all_steps() {
        let mut summary = Summary::default();
        let tally = |ignored| Tally { passed: 2, ignored, ..Tally::default() };
        let second = Duration::from_secs(1);
        summary.add("format", Outcome::Passed, Tally::default(), second);
        summary.add("unit tests", Outcome::Passed, tally(0), second);
        summary.add("advisories", Outcome::Skipped("no network".into()), tally(3), second);
        let text = summary.to_string();
        assert!(text.ends_with("tests: 4 passed, 0 failed, 3 ignored; steps: 3, 1 skipped: ok\n"));
        assert!(text.contains("format               ok          1.0 s\n"), "{text}");
        assert!(!summary.failed());
        summary.add("build", Outcome::Failed(anyhow::anyhow!("why")), Tally::default(), second);
        assert!(summary.failed() && summary.to_string().ends_with("FAILED\n"));
    }
}
