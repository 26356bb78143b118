//! A registry on loopback, of Debian's package `docker-registry`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::archive::Archive;
use crate::{apt, shell};

const ADDRESS: &str = "127.0.0.1:5000";

/// What is pulled from it.
pub(super) const IMAGE: &str = "127.0.0.1:5000/bench/large:latest";

/// The registry, until this is dropped.
pub(super) struct Registry {
    process: Child,
    storage: PathBuf,
}

impl Registry {
    pub(super) fn start(scratch: &Path) -> Result<Self> {
        let program = apt::program("docker-registry").context("docker-registry is missing")?;
        let storage = scratch.join("registry");
        let configuration = scratch.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{ level: error }}\nhttp: {{ addr: '{ADDRESS}' }}\n\
             storage: {{ filesystem: {{ rootdirectory: '{}' }} }}\n",
            storage.display()
        );
        fs::write(&configuration, text)?;
        let messages = File::create(scratch.join("registry.messages"))?;
        let process = Command::new(program)
            .arg("serve")
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(messages.try_clone()?)
            .stderr(messages)
            .spawn()?;
        let registry = Self { process, storage };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(ADDRESS).is_err() {
            if Instant::now() > deadline {
                bail!("the registry does not listen at {ADDRESS}");
            }
            sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }

    /// Stores an image in it, its layers gzipped.
    pub(super) fn take(&self, archive: &Archive) -> Result<()> {
        let from = format!("docker-archive:{}", archive.path);
        let to = format!("docker://{IMAGE}");
        let words = ["copy", "--quiet", "--dest-tls-verify=false", "--insecure-policy", &from, &to];
        shell::run(Command::new("skopeo").args(words))
    }

    /// How many seconds gunzip needs for the largest layer alone.
    pub(super) fn gunzip_largest(&self) -> Result<f64> {
        let mut largest = (0, PathBuf::new());
        let folders = self.storage.join("docker/registry/v2/blobs/sha256");
        for folder in fs::read_dir(folders)? {
            for blob in fs::read_dir(folder?.path())? {
                let data = blob?.path().join("data");
                largest = largest.max((fs::metadata(&data)?.len(), data));
            }
        }
        let start = Instant::now();
        let status = Command::new("gzip")
            .args(["--decompress", "--stdout"])
            .stdin(File::open(largest.1)?)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            bail!("gzip: {status}");
        }
        Ok(start.elapsed().as_secs_f64())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _waited = self.process.wait();
    }
}
