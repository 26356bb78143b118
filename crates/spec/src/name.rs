//! Names that people give: one grammar for all.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Invalid;

/// The longest name, so that it fits a file name, a host name's label list and a table's column.
const LONGEST: usize = 128;

/// Refuses what is not `[a-zA-Z0-9][a-zA-Z0-9_.-]*` of at most 128 characters.
fn check(what: &'static str, text: &str) -> Result<(), Invalid> {
    let reason = if text.is_empty() {
        "a name is needed"
    } else if text.len() > LONGEST {
        "at most 128 characters are allowed"
    } else if !text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        "it must begin with a letter or a digit"
    } else if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) {
        "only letters, digits, '_', '.' and '-' are allowed"
    } else {
        return Ok(());
    };
    Err(Invalid::new(what, text, reason))
}

/// Makes a name type.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<Self, Invalid> {
                check($what, text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                check($what, &text).map(|()| Self(text))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A pod's name.
    PodName,
    "pod name"
);
name!(
    /// A container's name.
    ContainerName,
    "container name"
);
name!(
    /// A network's name.
    NetworkName,
    "network name"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_22_traversal_nul_and_overlong_names_are_refused() {
        for good in ["a", "nginx", "my_web.app-1", "0", &"x".repeat(128)] {
            assert!(good.parse::<ContainerName>().is_ok(), "{good}");
        }
        let long = "x".repeat(300);
        for bad in ["", ".", "..", "../x", "a/b", "a\0b", "-a", "a b", "ä", "a\n", &long] {
            assert!(bad.parse::<PodName>().is_err(), "{bad:?}");
        }
    }
}
