//! `--ipc`, `--uts`, `--pid`: where a container finds a namespace.

use std::str::FromStr;

use sandbar_engine::Sharing;
use sandbar_spec::Invalid;

/// A namespace as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace(pub(crate) Sharing);

impl FromStr for Namespace {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason| Err(Invalid::new("namespace", text, reason));
        let sharing = match text.split_once(':') {
            None => match text {
                "private" => Sharing::Private,
                "host" => Sharing::Host,
                _ => return wrong("private, host, container:NAME or pod:NAME is needed"),
            },
            Some(("container" | "pod", "")) => return wrong("a name is needed after the ':'"),
            Some(("container", name)) => Sharing::Container(name.to_owned()),
            Some(("pod", name)) => Sharing::Pod(name.to_owned()),
            Some(_) => return wrong("container:NAME or pod:NAME is needed"),
        };
        Ok(Self(sharing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces() {
        for (text, sharing) in [
            ("private", Sharing::Private),
            ("host", Sharing::Host),
            ("container:a", Sharing::Container("a".into())),
            ("pod:a", Sharing::Pod("a".into())),
        ] {
            assert_eq!(text.parse(), Ok(Namespace(sharing)));
        }
        for bad in ["", "pod:", "shareable", "ns:/x"] {
            assert!(bad.parse::<Namespace>().is_err(), "{bad}");
        }
    }
}
