//! What steps have made, so that none is done twice: `ROOT/build/steps/KEY`, a small file each.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sandbar_engine::Roots;
use sandbar_image::{ImageId, Store};
use sandbar_sys::During;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

use crate::error::Result;
use crate::workspace::{Workspace, base, make_all};

/// What a step made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The image of the layers so far; none above `scratch` before there is a layer.
    pub(crate) image: Option<ImageId>,
    /// When.
    pub(crate) created: Timestamp,
}

/// All that makes a step what it is.
#[derive(Debug)]
pub(crate) struct Key(Sha256);

impl Key {
    /// That of an instruction.
    pub(crate) fn new(instruction: &str) -> Self {
        let mut key = Self(Sha256::new());
        // Raised when what steps make changes.
        key.add("version", "1");
        key.add("instruction", instruction);
        key
    }

    /// Adds something that counts.
    pub(crate) fn add(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        self.0.update(format!("{name} {}:", value.len()));
        self.0.update(value);
    }

    /// Adds a digest of its own.
    pub(crate) fn add_digest(
        &mut self,
        name: &str,
        of: impl FnOnce(&mut Sha256) -> Result<()>,
    ) -> Result<()> {
        let mut hash = Sha256::new();
        of(&mut hash)?;
        self.add(name, hash.finalize());
        Ok(())
    }

    fn hex(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whose file it is.
    pub(crate) fn finish(self) -> FinishedKey {
        FinishedKey(self.hex())
    }
}

/// A key to which nothing is added any more.
#[derive(Debug)]
pub(crate) struct FinishedKey(String);

/// The records.
#[derive(Debug)]
pub(crate) struct Steps {
    directory: PathBuf,
}

impl Steps {
    pub(crate) fn open(roots: &Roots) -> Result<Self> {
        let directory = base(roots).join("steps");
        make_all(&directory)?;
        Ok(Self { directory })
    }

    /// What the step made before, if that is still there; it stays as long as the build goes on.
    pub(crate) fn find(
        &self,
        store: &Store,
        work: &Workspace,
        key: &FinishedKey,
    ) -> Result<Option<Record>> {
        let path = self.directory.join(&key.0);
        let text = std::fs::read(&path).ok();
        let record: Option<Record> = text.and_then(|it| serde_json::from_slice(&it).ok());
        if let Some(image) = record.as_ref().and_then(|record| record.image) {
            work.hold(image.digest())?;
            if store.find(&image.to_string()).is_err() {
                // It was removed: the record is of no use to anybody.
                let _removed = std::fs::remove_file(&path);
                return Ok(None);
            }
        }
        Ok(record)
    }

    /// Forgets what led to images that are gone by now, and what can't be read.
    ///
    /// What another build keeps meanwhile stays: the images are listed after the records were read.
    pub(crate) fn sweep(&self, store: &Store) -> Result<()> {
        let records: Vec<_> = records(&self.directory).collect();
        let images = store.ids()?;
        let leads_nowhere = |record: &Option<Record>| match record {
            Some(record) => record.image.is_some_and(|it| images.binary_search(&it).is_err()),
            None => true,
        };
        for (path, _) in records.iter().filter(|(_, record)| leads_nowhere(record)) {
            let _removed = std::fs::remove_file(path);
        }
        Ok(())
    }

    /// Keeps what the step made.
    pub(crate) fn keep(&self, work: &Workspace, key: &FinishedKey, record: &Record) -> Result<()> {
        let (aside, path) = (work.new_path(), self.directory.join(&key.0));
        let text = serde_json::to_vec(record).unwrap_or_default();
        std::fs::write(&aside, text).during("write", || aside.display().to_string())?;
        std::fs::rename(&aside, &path).during("rename", || path.display().to_string())?;
        Ok(())
    }
}

/// The images that are kept for later builds alone, if they have no name.
#[must_use]
pub fn images_of_steps(roots: &Roots) -> BTreeSet<ImageId> {
    records(&base(roots).join("steps")).filter_map(|(_, record)| record?.image).collect()
}

/// The files in the directory of records, with what each says, if that is a record.
fn records(directory: &Path) -> impl Iterator<Item = (PathBuf, Option<Record>)> {
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    files.map(|file| {
        let path = file.path();
        let record = std::fs::read(&path).ok().and_then(|it| serde_json::from_slice(&it).ok());
        (path, record)
    })
}
