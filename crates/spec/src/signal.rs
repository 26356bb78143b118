//! Signals by name or number.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// A signal's number on Linux (`signal(7)`), the same on every architecture that Sandbar runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignalNumber(i32);

/// The standard signals' names, the first being number 1.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The first real-time signal that a program may use, with the C library's own left out.
const FIRST_REAL_TIME: i32 = 34;
/// The last signal.
const LAST: i32 = 64;

impl SignalNumber {
    /// SIGINT.
    pub const INT: Self = Self(2);
    /// SIGKILL.
    pub const KILL: Self = Self(9);
    /// SIGTERM.
    pub const TERM: Self = Self(15);

    /// The number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl FromStr for SignalNumber {
    type Err = Invalid;

    /// `9`, `KILL`, `SIGKILL`, `kill`, `RTMIN`, `RTMIN+3`, `RTMAX-1`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong =
            || Invalid::new("signal", text, "a signal's name or a number from 1 to 64 is needed");
        if let Ok(number) = text.parse() {
            return if (1..=LAST).contains(&number) { Ok(Self(number)) } else { Err(wrong()) };
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let offset = |text: &str| text.parse::<i32>().map_err(|_not_a_number| wrong());
        let number = if let Some(rest) = name.strip_prefix("RTMIN") {
            FIRST_REAL_TIME.saturating_add(if rest.is_empty() { 0 } else { offset(rest)? })
        } else if let Some(rest) = name.strip_prefix("RTMAX") {
            LAST.saturating_add(if rest.is_empty() { 0 } else { offset(rest)? })
        } else {
            let index = NAMES.iter().position(|known| *known == name).ok_or_else(wrong)?;
            return i32::try_from(index + 1).map(Self).map_err(|_overflow| wrong());
        };
        if (FIRST_REAL_TIME..=LAST).contains(&number) { Ok(Self(number)) } else { Err(wrong()) }
    }
}

impl fmt::Display for SignalNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match usize::try_from(self.0 - 1).ok().and_then(|index| NAMES.get(index)) {
            Some(name) => write!(formatter, "SIG{name}"),
            None => write!(formatter, "SIGRTMIN+{}", self.0 - FIRST_REAL_TIME),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_known_by_name_and_number() {
        for (text, number) in
            [("9", 9), ("KILL", 9), ("sigterm", 15), ("SIGRTMIN+3", 37), ("RTMAX", 64), ("SYS", 31)]
        {
            assert_eq!(text.parse::<SignalNumber>().unwrap().get(), number, "{text}");
        }
        for bad in ["0", "65", "NOPE", "RTMIN+99", "RTMIN+2147483647", "RTMAX-2147483647", "-1", ""]
        {
            assert!(bad.parse::<SignalNumber>().is_err(), "{bad}");
        }
        assert_eq!(SignalNumber(9).to_string(), "SIGKILL");
    }
}
