//! `--security-opt`.

use std::str::FromStr;

use sandbar_spec::Invalid;

/// A security option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecurityOption {
    /// Whether no process can gain privileges by executing.
    NoNewPrivileges(bool),
}

impl FromStr for SecurityOption {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true" => {
                Ok(Self::NoNewPrivileges(true))
            }
            "no-new-privileges:false" | "no-new-privileges=false" => {
                Ok(Self::NoNewPrivileges(false))
            }
            _ => Err(Invalid::new(
                "security option",
                text,
                "only no-new-privileges[:true|false] is supported",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_supported_is_refused() {
        let option = |text: &str| text.parse::<SecurityOption>();
        assert_eq!(option("no-new-privileges"), Ok(SecurityOption::NoNewPrivileges(true)));
        assert_eq!(option("no-new-privileges=false"), Ok(SecurityOption::NoNewPrivileges(false)));
        for bad in ["seccomp=unconfined", "label=disable", "no-new-privileges:maybe", ""] {
            assert!(option(bad).is_err(), "{bad}");
        }
    }
}
