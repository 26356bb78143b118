//! A directory of files, each synced before it counts.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::sink::Sink;
use super::tar::copy;
use crate::compression::BUFFER;
use crate::error::{Error, ErrorKind, Result};

/// Files in a directory that nobody else writes to.
pub(super) struct Directory<'a> {
    path: &'a Path,
    buffer: Vec<u8>,
}

impl<'a> Directory<'a> {
    pub(super) fn new(path: &'a Path) -> Self {
        Self { path, buffer: vec![0; BUFFER] }
    }

    /// Syncs the names.
    pub(super) fn finish(self) -> Result<()> {
        File::open(self.path)
            .and_then(|directory| directory.sync_all())
            .map_err(|e| not_written(self.path, e))
    }
}

impl Sink for Directory<'_> {
    fn file(&mut self, name: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        let path = self.path.join(name);
        let failed = |e| not_written(&path, e);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create_new(true).mode(0o644).open(&path).map_err(failed)?;
        copy(name, size, content, &mut file, &mut self.buffer)?;
        file.sync_all().map_err(failed)
    }
}

fn not_written(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("writing {} failed", path.display())).because(error)
}
