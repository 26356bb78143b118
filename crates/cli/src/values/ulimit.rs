//! `--ulimit`: a resource limit of a process.

use std::str::FromStr;

use sandbar_engine::Ulimit;
use sandbar_spec::Invalid;

/// `NAME=SOFT[:HARD]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UlimitValue(pub(crate) Ulimit);

/// What getrlimit(2) knows.
const NAMES: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl FromStr for UlimitValue {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason: &str| Invalid::new("ulimit", text, reason);
        let (name, limits) =
            text.split_once('=').ok_or_else(|| wrong("NAME=SOFT[:HARD] is needed"))?;
        if !NAMES.contains(&name) {
            return Err(wrong(&format!("the name must be one of {}", NAMES.join(", "))));
        }
        let limit = |text: &str| match text {
            "-1" | "unlimited" => Ok(u64::MAX),
            _ => text.parse().map_err(|_not_a_number| wrong("a limit is a number, or -1 for none")),
        };
        let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
        let (soft, hard) = (limit(soft)?, limit(hard)?);
        if soft > hard {
            return Err(wrong("the soft limit can't be above the hard one"));
        }
        Ok(Self(Ulimit { name: name.to_owned(), soft, hard }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ulimit_has_a_soft_and_a_hard_limit() {
        let ulimit = |text: &str| {
            let UlimitValue(Ulimit { name, soft, hard }) = text.parse().unwrap();
            (name, soft, hard)
        };
        assert_eq!(ulimit("nofile=1024:2048"), ("nofile".into(), 1024, 2048));
        assert_eq!(ulimit("core=0"), ("core".into(), 0, 0));
        assert_eq!(ulimit("nproc=5:-1"), ("nproc".into(), 5, u64::MAX));
        for bad in ["nofile", "nofile=", "nofile=2:1", "nope=1", "nofile=1:2:3", "nofile=-2"] {
            assert!(bad.parse::<UlimitValue>().is_err(), "{bad}");
        }
    }
}
