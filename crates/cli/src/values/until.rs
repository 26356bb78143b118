//! `--filter until=…`: a time, or how long ago.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use sandbar_spec::Invalid;

/// A time that things are to be older than.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    At(Timestamp),
    Ago(SignedDuration),
}

impl Until {
    /// The time, as of now.
    pub(crate) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(time) => time,
            Self::Ago(duration) => now.checked_sub(duration).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Until {
    type Err = Invalid;

    /// `until=` and RFC 3339, seconds since 1970, or a duration as in `24h` or `1h30m`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason: &str| Invalid::new("filter", text, reason);
        let value = text.strip_prefix("until=").ok_or_else(|| wrong("it is no 'until=…'"))?;
        if let Ok(seconds) = value.parse::<i64>() {
            let time = Timestamp::from_second(seconds);
            return time.map(Self::At).map_err(|_too_far| wrong("no time is that far away"));
        }
        if let Ok(time) = value.parse() {
            return Ok(Self::At(time));
        }
        match value.parse::<SignedDuration>() {
            Ok(duration) if !duration.is_negative() => Ok(Self::Ago(duration)),
            _ => Err(wrong("write a time as 2026-01-31T12:00:00Z, or how long ago as 24h")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_or_how_long_ago() {
        let now = Timestamp::from_second(100_000).unwrap();
        let before =
            |text: &str| text.parse::<Until>().map(|until| until.before(now).as_second()).ok();
        assert_eq!(before("until=1970-01-01T00:00:07Z"), Some(7));
        assert_eq!(before("until=7"), Some(7));
        assert_eq!(before("until=1h30m"), Some(100_000 - 5400));
        assert_eq!(before("until=24h"), Some(100_000 - 86_400));
        for text in ["until=", "until=soon", "until=-1h", "since=1h", "24h"] {
            assert_eq!(before(text), None, "{text}");
        }
    }
}
