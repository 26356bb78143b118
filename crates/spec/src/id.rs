//! Ids: 64 lower-case hexadecimal digits, of which the first twelve are shown.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// Makes an id type; two kinds of id can't be mixed up.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id made of 32 random bytes.
            #[must_use]
            pub fn from_random(bytes: [u8; 32]) -> Self {
                Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
            }

            /// All 64 digits.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The first twelve digits, as lists show it.
            #[must_use]
            pub fn short(&self) -> &str {
                self.0.get(..12).unwrap_or(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                if text.len() == 64 && text.bytes().all(digit) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Invalid::new($what, text, "64 lower-case hexadecimal digits are needed"))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A pod's id.
    PodId,
    "pod id"
);
id!(
    /// A container's id.
    ContainerId,
    "container id"
);
id!(
    /// A network's id.
    NetworkId,
    "network id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_64_hexadecimal_digits_and_nothing_else() {
        let id = PodId::from_random([0xab; 32]);
        assert_eq!(id.as_str().parse(), Ok(id.clone()));
        assert_eq!(id.short(), "abababababab");
        for bad in ["", "ab", "../../etc", &"A".repeat(64), &"a".repeat(65), &"g".repeat(64)] {
            assert!(bad.parse::<PodId>().is_err(), "{bad}");
        }
    }
}
