//! The image that is measured with, as `docker save` writes one: made, not fetched.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use crate::shell;

/// Its layers, in MB.
pub(super) const MEGABYTES: [u64; 8] = [220, 40, 40, 40, 40, 40, 40, 40];

/// What it is called in its archive.
pub(super) const NAME: &str = "localhost/large:latest";

/// Bytes in a file of it.
const FILE: u64 = 250_000;

/// The archive.
pub(super) struct Archive {
    pub(super) path: String,
}

impl Archive {
    /// Makes it: as many files as a distribution has for so many bytes, which shrink to a third.
    pub(super) fn new(scratch: &Path) -> Result<Self> {
        let work = scratch.join("large");
        fs::create_dir(&work)?;
        let mut random = Random(1);
        let mut names = vec!["manifest.json".to_owned(), "config.json".to_owned()];
        let mut digests = Vec::new();
        for (number, megabytes) in MEGABYTES.iter().enumerate() {
            let files = work.join("files");
            for file in 0..megabytes * 1_000_000 / FILE {
                let folder = files.join(format!("usr/layer{number}/{}", file / 50));
                fs::create_dir_all(&folder)?;
                random.fill(&folder.join(file.to_string()))?;
            }
            let name = format!("layer{number}.tar");
            let words = ["--create", "--numeric-owner", "--sort=name", "--file", &name];
            shell::run(
                Command::new("tar").current_dir(&work).args(words).args(["-C", "files", "."]),
            )?;
            fs::remove_dir_all(&files)?;
            let told = shell::output(Command::new("sha256sum").current_dir(&work).arg(&name))?;
            let digest = told.split_whitespace().next().context("sha256sum told nothing")?;
            digests.push(format!("sha256:{digest}"));
            names.push(name);
        }
        let config = json!({
            "architecture": docker_architecture(),
            "os": "linux",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": digests },
        });
        fs::write(work.join("config.json"), config.to_string())?;
        let layers = &names[2..];
        let manifest = json!([{ "Config": "config.json", "RepoTags": [NAME], "Layers": layers }]);
        fs::write(work.join("manifest.json"), manifest.to_string())?;
        let path = scratch.join("large.tar").to_str().context("a path that is no text")?.to_owned();
        let create = ["--create", "--file", &path];
        shell::run(Command::new("tar").current_dir(&work).args(create).args(&names))?;
        fs::remove_dir_all(&work)?;
        Ok(Self { path })
    }
}

/// An archive of a root file system with nothing in it.
pub(super) fn empty(scratch: &Path) -> Result<String> {
    let (folder, path) = (scratch.join("empty"), scratch.join("empty.tar"));
    fs::create_dir_all(folder.join("etc"))?;
    let path = path.to_str().context("a path that is no text")?.to_owned();
    let words = ["--create", "--file", &path, "-C"];
    shell::run(Command::new("tar").args(words).arg(folder).arg("."))?;
    Ok(path)
}

/// This machine's, by the name that images use.
fn docker_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// Numbers that are the same each time (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Writes a file of lines, each with a number among words.
    fn fill(&mut self, path: &Path) -> Result<()> {
        let mut file = BufWriter::new(File::create(path)?);
        let mut written = 0;
        while written < FILE {
            let number = self.next();
            let line = format!("the value of key {} is {number:016x}, as ever\n", number % 977);
            file.write_all(line.as_bytes())?;
            written += u64::try_from(line.len())?;
        }
        file.flush()?;
        Ok(())
    }
}
