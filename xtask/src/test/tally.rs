//! Counting tests by what they print: the format of libtest, which libtest-mimic keeps to.

use std::ops::AddAssign;

/// How many tests there were, by how they ended.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// Which were ignored, with the reason where one was given.
    pub(crate) names_of_ignored: Vec<String>,
}

impl Tally {
    /// Counts what a line tells.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            let words: Vec<&str> = counts.split_whitespace().collect();
            for pair in words.windows(2) {
                if let [number, kind] = pair
                    && let Ok(number) = number.parse::<u64>()
                {
                    match kind.trim_end_matches(';') {
                        "passed" => self.passed += number,
                        "failed" => self.failed += number,
                        "ignored" => self.ignored += number,
                        _ => {}
                    }
                }
            }
        } else if let Some((name, reason)) = ignored(line) {
            self.names_of_ignored.push(format!("{name}{reason}"));
        }
    }

    /// How many there were.
    pub(crate) fn total(&self) -> u64 {
        self.passed + self.failed + self.ignored
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.names_of_ignored.extend(other.names_of_ignored);
    }
}

/// The test that a line calls ignored, and what follows that word.
fn ignored(line: &str) -> Option<(&str, &str)> {
    let (name, reason) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    Some((name.trim_end(), reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up_and_the_ignored_named() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test b ... ignored, needs cgroup v2",
            "test prints test result: ok ... ok",
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "test c      ... ignored",
            "test result: FAILED. 1 passed; 4 failed; 1 ignored; 0 measured; 7 filtered out",
        ] {
            tally.read(line);
        }
        let expected = Tally {
            passed: 3,
            failed: 4,
            ignored: 2,
            names_of_ignored: vec!["b, needs cgroup v2".into(), "c".into()],
        };
        assert_eq!(tally, expected);
        assert_eq!(tally.total(), 9);
    }
}
