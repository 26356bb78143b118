//! Versions of the specification.

use std::{fmt, str::FromStr};

/// A version of the specification that configurations and results may be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Version {
    /// 0.3.0: the first with chains.
    V0_3_0,
    /// 0.3.1
    V0_3_1,
    /// 0.4.0: the first with `CHECK`, and with the result passed on to `DEL`.
    V0_4_0,
    /// 1.0.0: an address of a result no longer says whether it is of IPv4 or IPv6.
    V1_0_0,
    /// 1.1.0: the first with `STATUS` and `GC`.
    V1_1_0,
}

impl Version {
    const ALL: [Self; 5] = [Self::V0_3_0, Self::V0_3_1, Self::V0_4_0, Self::V1_0_0, Self::V1_1_0];

    fn as_str(self) -> &'static str {
        match self {
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|version| version.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("'{text}' is not one of the versions {known}")
        })
    }
}
