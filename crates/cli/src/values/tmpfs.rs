//! `--tmpfs`: memory at a path.

use std::path::PathBuf;
use std::str::FromStr;

use sandbar_spec::Invalid;

use super::target;

/// `PATH[:OPTION,…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tmpfs {
    pub(crate) target: PathBuf,
    pub(crate) options: Vec<String>,
    pub(crate) read_only: bool,
}

/// What tmpfs(5) takes with a value.
const WITH_VALUE: [&str; 6] = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks"];
/// What every mount takes.
const FLAGS: [&str; 10] = [
    "exec",
    "noexec",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "noatime",
    "relatime",
    "nodiratime",
    "strictatime",
];

impl FromStr for Tmpfs {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (path, rest) = text.split_once(':').unwrap_or((text, ""));
        let mut tmpfs =
            Self { target: target("tmpfs", text, path)?, options: Vec::new(), read_only: false };
        for option in rest.split(',').filter(|option| !option.is_empty()) {
            let known = match option.split_once('=') {
                Some((name, value)) => WITH_VALUE.contains(&name) && !value.is_empty(),
                None => FLAGS.contains(&option),
            };
            match option {
                "ro" => tmpfs.read_only = true,
                "rw" => tmpfs.read_only = false,
                _ if known => tmpfs.options.push(option.to_owned()),
                _ => {
                    let reason = format!("'{option}' is no option of a tmpfs, as size=64m is");
                    return Err(Invalid::new("tmpfs", text, reason));
                }
            }
        }
        Ok(tmpfs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_tmpfs_is_a_path_with_options() {
        let tmpfs: Tmpfs = "/x:size=1m,noexec,ro".parse().unwrap();
        assert_eq!(tmpfs.target, Path::new("/x"));
        assert_eq!(tmpfs.options, ["size=1m", "noexec"]);
        assert!(tmpfs.read_only);
        assert!("/x".parse::<Tmpfs>().unwrap().options.is_empty());
        for bad in ["", "x", "/", "/x:huge", "/x:size=", "/x:upperdir=/etc", "/x:size"] {
            assert!(bad.parse::<Tmpfs>().is_err(), "{bad}");
        }
    }
}
