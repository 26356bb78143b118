//! `network create --opt`: a setting of a network's bridge.

use std::str::FromStr;

use sandbar_spec::Invalid;

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkSetting {
    /// `mtu`, in Docker's words `com.docker.network.driver.mtu`.
    Mtu(u32),
    /// `isolate`.
    Isolate(bool),
}

impl FromStr for NetworkSetting {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason| Invalid::new("network option", text, reason);
        match text.split_once('=') {
            Some(("mtu" | "com.docker.network.driver.mtu", value)) => value
                .parse()
                .map(Self::Mtu)
                .map_err(|_not_a_number| wrong("a number of bytes is needed after the '='")),
            Some(("isolate", "true" | "1")) => Ok(Self::Isolate(true)),
            Some(("isolate", "false" | "0")) => Ok(Self::Isolate(false)),
            Some(("isolate", _)) => Err(wrong("true or false is needed after the '='")),
            _ => Err(wrong("mtu=NUMBER or isolate=true is needed")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        assert_eq!("mtu=1400".parse(), Ok(NetworkSetting::Mtu(1400)));
        assert_eq!("isolate=true".parse(), Ok(NetworkSetting::Isolate(true)));
        for bad in ["", "mtu", "mtu=x", "isolate=strict", "vlan=3"] {
            assert!(bad.parse::<NetworkSetting>().is_err(), "{bad}");
        }
    }
}
