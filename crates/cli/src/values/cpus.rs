//! `--cpus`: how many processors' time.

use std::str::FromStr;

use sandbar_spec::Invalid;

/// Billionths of a processor, exactly as written; 0 for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cpus(pub(crate) u64);

/// Digits after the point that still mean something.
const DIGITS: usize = 9;

impl FromStr for Cpus {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::new("cpus", text, "a number is needed, as in 1.5");
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) {
            return Err(wrong());
        }
        if part.len() > DIGITS {
            return Err(Invalid::new("cpus", text, "at most nine digits after the point count"));
        }
        let number = |digits: &str| match digits {
            "" => Ok(0_u64),
            _ => digits.parse().map_err(|_overflow| wrong()),
        };
        let part = number(&format!("{part:0<DIGITS$}"))?;
        let whole = number(whole)?.checked_mul(1_000_000_000);
        whole.and_then(|whole| whole.checked_add(part)).map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_exact() {
        for (text, nano) in [
            ("1.5", 1_500_000_000),
            ("0.1", 100_000_000),
            (".5", 500_000_000),
            ("2.", 2_000_000_000),
            ("0.000000001", 1),
            ("64", 64_000_000_000),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(Cpus(nano)), "{text}");
        }
        for bad in ["", ".", "x", "-1", "1e3", "1.0000000001", "99999999999999", "1.5.2", "+1"] {
            assert!(bad.parse::<Cpus>().is_err(), "{bad}");
        }
    }
}
