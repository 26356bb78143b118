//! Who is measured: Sandbar, and Podman with a store of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{apt, shell};

/// A program that runs pods, and how it is called.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: PathBuf,
    global: Vec<OsString>,
}

impl Peer {
    pub(crate) fn sandbar(program: PathBuf) -> Self {
        Self { name: "Sandbar", program, global: Vec::new() }
    }

    /// Podman as Debian has it, with its state below `scratch`; an error if it can't run here.
    pub(crate) fn podman(scratch: &Path) -> Result<Self> {
        let program = apt::program("podman").context("it is not installed")?;
        let mut global = Vec::new();
        for (option, value) in [("--root", "store"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            global.push(OsString::from(option));
            global.push(scratch.join(value).into());
        }
        global.extend(["--cgroup-manager=cgroupfs", "--runtime=crun"].map(OsString::from));
        global.extend(["--network-backend=netavark", "--events-backend=none"].map(OsString::from));
        let podman = Self { name: "Podman", program, global };
        shell::output(&mut podman.command(&["info"]))?;
        Ok(podman)
    }

    /// A command of this peer's.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.global).args(words);
        command
    }

    /// Makes the image that all is measured with.
    pub(crate) fn import(&self, archive: &Path) -> Result<()> {
        let archive = archive.to_string_lossy();
        shell::output(&mut self.command(&["import", &archive, "localhost/bench"]))?;
        Ok(())
    }
}
