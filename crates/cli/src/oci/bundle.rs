//! A bundle: a directory with `config.json` and, mostly, the root filesystem.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use sandbar_runtime::Checked;

use super::json;
use crate::failure::{Doing, Failure, Result};

/// The longest `config.json` that is read.
const LONGEST: u64 = 16 << 20;

/// A bundle that can be run.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) path: PathBuf,
    pub(super) spec: Checked,
    /// `config.json` as it was found.
    pub(super) text: Vec<u8>,
    pub(super) rootfs: PathBuf,
}

impl Bundle {
    /// Reads that in `path` and refuses what could not be run, before anything is made.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let path = path.canonicalize().doing(format!("use the bundle {}", path.display()))?;
        let config = path.join("config.json");
        let action = format!("read {}", config.display());
        let file = File::open(&config).doing(&action)?;
        let mut text = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut text).doing(&action)?;
        if u64::try_from(text.len()).is_ok_and(|length| length > LONGEST) {
            return Err(Failure::new(format!("cannot {action}: it is longer than 16 MiB")));
        }
        let mut spec: Spec = json::read(config.display(), &text)?;
        let version = spec.version();
        if !(version == "1.0" || version.starts_with("1.")) {
            let what = format!("ociVersion {version:?}: 1.0.0 and later versions 1 are supported");
            return Err(Failure::new(format!("cannot use {}: {what}", config.display())));
        }
        let refused = |error: sandbar_runtime::Error| {
            Failure::new(format!("cannot use {}: {}", config.display(), error.one_line()))
        };
        let rootfs = sandbar_runtime::anchor(&mut spec, &path).map_err(refused)?;
        let spec = Checked::new(spec).map_err(refused)?;
        let rootfs = rootfs.canonicalize().doing(format!("use root.path {}", rootfs.display()))?;
        if !rootfs.is_dir() {
            return Err(Failure::new(format!("root.path {}: not a directory", rootfs.display())));
        }
        Ok(Self { path, spec, text, rootfs })
    }

    pub(super) fn annotations(&self) -> BTreeMap<String, String> {
        let given = self.spec.annotations().iter().flatten();
        given.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Whether its process has a terminal.
    pub(super) fn has_terminal(&self) -> bool {
        self.spec.process().as_ref().and_then(oci_spec::runtime::Process::terminal).unwrap_or(false)
    }
}
