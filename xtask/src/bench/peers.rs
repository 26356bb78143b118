//! Who is measured: Sandbar, and Podman with a store of its own. Both understand the same words.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{apt, shell};

/// A program that runs pods, and how it is called.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: PathBuf,
    global: Vec<OsString>,
    /// Its own configuration file.
    configuration: Option<PathBuf>,
    /// Where what it says goes: through a pipe we would wait for all that it started to close it.
    messages: PathBuf,
}

/// Podman raises these limits by default, which needs CAP_SYS_RESOURCE.
const PODMAN_CONFIGURATION: &str = "\
[containers]
default_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]
";

/// The image that all is measured with.
pub(crate) const IMAGE: &str = "localhost/bench";

impl Peer {
    /// What was just built.
    pub(crate) fn sandbar(program: &Path, scratch: &Path, archive: &Path) -> Result<Self> {
        let messages = scratch.join("sandbar.messages");
        let program = program.to_owned();
        let sandbar =
            Self { name: "Sandbar", program, global: Vec::new(), configuration: None, messages };
        sandbar.import(archive)?;
        Ok(sandbar)
    }

    /// Podman as Debian has it; an error if it can't run here.
    pub(crate) fn podman(scratch: &Path, archive: &Path) -> Result<Self> {
        let program = apt::program("podman").context("it is not installed")?;
        let mut global = Vec::new();
        let folders = [
            ("--root", "/var/lib/containers/storage"),
            ("--runroot", "/run/containers/storage"),
            ("--tmpdir", "/run/libpod"),
        ];
        for (option, folder) in folders {
            global.extend([option, folder].map(OsString::from));
        }
        global.extend(["--cgroup-manager=cgroupfs", "--runtime=crun"].map(OsString::from));
        global.extend(["--network-backend=netavark", "--events-backend=none"].map(OsString::from));
        let messages = scratch.join("podman.messages");
        let configuration = scratch.join("containers.conf");
        fs::write(&configuration, PODMAN_CONFIGURATION)
            .with_context(|| format!("can't write {}", configuration.display()))?;
        let configuration = Some(configuration);
        let podman = Self { name: "Podman", program, global, configuration, messages };
        podman.import(archive)?;
        Ok(podman)
    }

    fn import(&self, archive: &Path) -> Result<()> {
        let archive = archive.to_str().context("the archive's path is no text")?;
        self.run(&["import", archive, IMAGE])
    }

    /// A command of this peer's.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.global).args(words);
        if let Some(configuration) = &self.configuration {
            command.env("CONTAINERS_CONF", configuration);
        }
        command
    }

    /// Runs a command that has to succeed, with nobody to read what it prints.
    pub(crate) fn run(&self, words: &[&str]) -> Result<()> {
        let messages = File::create(&self.messages)
            .with_context(|| format!("can't create {}", self.messages.display()))?;
        let mut command = self.command(words);
        let status = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(messages)
            .status()
            .with_context(|| format!("can't run {}", shell::line(&command)))?;
        if !status.success() {
            let said = fs::read_to_string(&self.messages).unwrap_or_default();
            let line = words.join(" ");
            bail!("{} {line}: {status}: {}", self.name.to_lowercase(), said.trim());
        }
        Ok(())
    }

    /// What it answers, in JSON.
    pub(crate) fn tells(&self, words: &[&str]) -> Result<Value> {
        let told = shell::output(&mut self.command(words))?;
        serde_json::from_str(&told).with_context(|| format!("{} wrote no JSON", words.join(" ")))
    }

    /// What it tells of all its containers.
    pub(crate) fn containers(&self) -> Result<Vec<Value>> {
        match self.tells(&["ps", "--all", "--format", "json"])? {
            Value::Array(list) => Ok(list),
            _ => bail!("ps wrote no list"),
        }
    }

    /// Its own name and version.
    pub(crate) fn version(&self) -> Result<String> {
        let told = shell::output(&mut self.command(&["--version"]))?;
        Ok(told.trim_end().to_owned())
    }
}
