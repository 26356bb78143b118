//! Limits that -1 lifts: `--memory-swap` and `--pids-limit`.

use std::str::FromStr;

use sandbar_spec::{Bytes, Invalid};

/// Memory and swap together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemorySwap {
    /// -1.
    Unlimited,
    /// At most so much.
    At(Bytes),
}

impl FromStr for MemorySwap {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "-1" => Ok(Self::Unlimited),
            _ => text.parse().map(Self::At),
        }
    }
}

/// Processes and threads; 0 for no limit, as in the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PidsLimit(pub(crate) u64);

impl FromStr for PidsLimit {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "-1" => Ok(Self(0)),
            _ => text.parse().map(Self).map_err(|_not_a_number| {
                Invalid::new("pids limit", text, "a number is needed, or -1 for no limit")
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minus_one_lifts_a_limit() {
        assert_eq!("-1".parse(), Ok(MemorySwap::Unlimited));
        assert_eq!("1g".parse(), Ok(MemorySwap::At(Bytes(1 << 30))));
        assert!("-2".parse::<MemorySwap>().is_err());
        assert_eq!("-1".parse(), Ok(PidsLimit(0)));
        assert_eq!("100".parse(), Ok(PidsLimit(100)));
        assert!("-2".parse::<PidsLimit>().is_err());
    }
}
