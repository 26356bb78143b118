//! How fast a pod may send and receive.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// Bits a second, written as `10M` or `1G` (powers of 1000), as Kubernetes' `kubernetes.io/ingress-bandwidth` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BitRate(pub u64);

/// The slowest and the fastest that Kubernetes accepts.
const SLOWEST: u64 = 1_000;
const FASTEST: u64 = 1_000_000_000_000_000;

impl FromStr for BitRate {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            let what = "bits a second are needed, with k, M, G or T, from 1k to 1000T, as in 10M";
            Invalid::new("rate", text, what)
        };
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let thousands: u32 = match unit {
            "" => 0,
            "k" | "K" => 1,
            "m" | "M" => 2,
            "g" | "G" => 3,
            "t" | "T" => 4,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_not_a_number| wrong())?;
        let rate = number.checked_mul(1000_u64.pow(thousands)).ok_or_else(wrong)?;
        if (SLOWEST..=FASTEST).contains(&rate) { Ok(Self(rate)) } else { Err(wrong()) }
    }
}

/// A pod's limits; what is `None` is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Bandwidth {
    /// What it may receive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<BitRate>,
    /// What it may send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<BitRate>,
}

impl Bandwidth {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_powers_of_a_thousand() {
        for (text, rate) in [("1000", 1_000), ("10M", 10_000_000), ("1g", 1_000_000_000)] {
            assert_eq!(text.parse(), Ok(BitRate(rate)));
        }
        for bad in ["", "M", "999", "10Mi", "-1", "1.5G", "1001T", "99999999999999999999"] {
            assert!(bad.parse::<BitRate>().is_err(), "{bad}");
        }
    }
}
