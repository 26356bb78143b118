//! `cargo xtask node`: a node of its own for a command. It has a network with nothing but loopback, mounts that nobody
//! else sees, and empty directories where Sandbar and Podman keep things; all of it goes when the last process in it ends.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;

use crate::apt::{self, Package};

/// What a node has a memory file system on. Podman's locks are in /dev/shm.
const OWN: [&str; 5] = ["/run", "/var/lib/sandbar", "/var/lib/containers", "/var/tmp", "/dev/shm"];

/// Prepares the node that it is in, then becomes the command it is given.
const PREPARE: &str = r#"set -eu
for directory in $OWN; do mount -t tmpfs -o mode=0755 tmpfs "$directory"; done
unset OWN
ip link set lo up
exec "$@""#;

/// Becomes the command, in a node of its own, or a shell if there is none.
pub(crate) fn main(words: &[OsString]) -> Result<ExitCode> {
    let shell = [OsString::from("bash")];
    let words = if words.is_empty() { shell.as_slice() } else { words };
    Err(command(words)?.exec()).context("can't run unshare")
}

/// A command in a node of its own.
pub(crate) fn command(words: &[impl AsRef<OsStr>]) -> Result<Command> {
    if !geteuid().is_root() {
        bail!("a node of its own can only be made by root");
    }
    apt::install(&[Package::UTIL_LINUX, Package::IPROUTE])?;
    for directory in OWN.map(Path::new) {
        std::fs::create_dir_all(directory)
            .with_context(|| format!("can't create {}", directory.display()))?;
    }
    let mut command = Command::new("unshare");
    command
        .args(["--net", "--mount", "--propagation=private", "sh", "-c", PREPARE, "node"])
        .args(words)
        .env("OWN", OWN.join(" "));
    Ok(command)
}
