//! `--net`: a container's or a pod's network.

use std::str::FromStr;

use sandbar_spec::Invalid;

/// A network as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Network {
    /// An address on Sandbar's bridge; `private` is the same.
    Bridge,
    /// The host's own.
    Host,
    /// Loopback alone.
    None,
    /// A container's.
    Container(String),
    /// A pod's.
    Pod(String),
}

impl FromStr for Network {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason| Err(Invalid::new("network", text, reason));
        match text.split_once(':') {
            None => match text {
                "bridge" | "private" => Ok(Self::Bridge),
                "host" => Ok(Self::Host),
                "none" => Ok(Self::None),
                _ => wrong("bridge, host, none, private, container:NAME or pod:NAME is needed"),
            },
            Some(("container" | "pod", "")) => wrong("a name is needed after the ':'"),
            Some(("container", name)) => Ok(Self::Container(name.to_owned())),
            Some(("pod", name)) => Ok(Self::Pod(name.to_owned())),
            Some(_) => wrong("container:NAME or pod:NAME is needed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (text, network) in [
            ("bridge", Network::Bridge),
            ("private", Network::Bridge),
            ("host", Network::Host),
            ("none", Network::None),
            ("container:web", Network::Container("web".into())),
            ("pod:p", Network::Pod("p".into())),
        ] {
            assert_eq!(text.parse(), Ok(network));
        }
        for bad in ["", "mynet", "container:", "container", "ns:/proc/1/ns/net", "Host"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
