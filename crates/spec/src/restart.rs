//! What happens when a container ends by itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ExitCode, Invalid};

/// When a container that ended is started again (`--restart`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// When it failed, at most so many times (`None`: always).
    OnFailure(Option<u32>),
    /// Whenever it ends, unless somebody stopped it.
    Always,
}

impl RestartPolicy {
    /// Whether a container that ended with `code` after `restarts` restarts is to be started again.
    #[must_use]
    pub fn restarts(self, code: ExitCode, restarts: u32) -> bool {
        match self {
            Self::No => false,
            Self::Always => true,
            Self::OnFailure(most) => {
                code != ExitCode::Known(0) && most.is_none_or(|most| restarts < most)
            }
        }
    }
}

impl FromStr for RestartPolicy {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason| Invalid::new("restart policy", text, reason);
        match text.split_once(':') {
            None => match text {
                "no" => Ok(Self::No),
                "always" => Ok(Self::Always),
                "on-failure" => Ok(Self::OnFailure(None)),
                _ => Err(wrong("no, on-failure[:N] or always is needed")),
            },
            Some(("on-failure", times)) => match times.parse() {
                Ok(times @ 1..) => Ok(Self::OnFailure(Some(times))),
                _ => Err(wrong("the number of restarts must be at least 1")),
            },
            Some(_) => Err(wrong("only on-failure takes a number")),
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => formatter.write_str("no"),
            Self::Always => formatter.write_str("always"),
            Self::OnFailure(None) => formatter.write_str("on-failure"),
            Self::OnFailure(Some(most)) => write!(formatter, "on-failure:{most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_reads_as_it_prints() {
        for text in ["no", "always", "on-failure", "on-failure:3"] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap().to_string(), text);
        }
        for bad in ["", "never", "on-failure:0", "on-failure:x", "always:3"] {
            assert!(bad.parse::<RestartPolicy>().is_err(), "{bad}");
        }
    }

    #[test]
    fn on_failure_counts_its_restarts() {
        let policy = RestartPolicy::OnFailure(Some(2));
        assert!(policy.restarts(ExitCode::Known(1), 1));
        assert!(!policy.restarts(ExitCode::Known(1), 2));
        assert!(!policy.restarts(ExitCode::Known(0), 0));
        assert!(policy.restarts(ExitCode::Unknown, 0));
    }
}
