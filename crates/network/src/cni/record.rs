//! Records of attachments: what is needed to delete them, and what their addition made.
//!
//! A container has a directory, locked while its attachments change; in it is a file `NETWORK:INTERFACE` for each.
//! A file is replaced whole, and on the disk before the call goes on: a record outlives a killed process and a reboot.

use std::{
    fs::{self, DirBuilder, File},
    io::{ErrorKind::AlreadyExists, ErrorKind::DirectoryNotEmpty, ErrorKind::NotFound, Write},
    os::{
        fd::AsFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock, fstat},
    io::retry_on_intr,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AttachmentId, Configuration, Error, ErrorKind, Result, plugin::Subject};

/// A file while it is written.
const NEW: &str = ".new";

/// A directory of records.
#[derive(Clone, Debug)]
pub(super) struct Records {
    pub(super) dir: PathBuf,
}

/// An attachment that was made, or was about to be.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Record {
    /// As [`Configuration::to_value`] has it.
    configuration: Value,
    container_id: String,
    interface: String,
    /// Where its plugins were.
    pub(super) plugin_dirs: Vec<PathBuf>,
    netns: PathBuf,
    namespace: Namespace,
    arguments: Vec<(String, String)>,
    runtime: Map<String, Value>,
    /// Missing until the last plugin of the chain has succeeded.
    pub(super) result: Option<Value>,
}

/// Which namespace a path led to: paths are reused, and so are inodes after a boot.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Namespace {
    boot: String,
    device: u64,
    inode: u64,
}

impl Record {
    /// Of an attachment whose network namespace is there.
    pub(super) fn new(
        network: &Configuration,
        plugin_dirs: &[PathBuf],
        subject: &Subject,
        netns: &Path,
    ) -> Result<Self> {
        Ok(Self {
            configuration: network.to_value(),
            container_id: subject.container_id.clone(),
            interface: subject.interface.clone(),
            plugin_dirs: plugin_dirs.to_owned(),
            netns: netns.to_owned(),
            namespace: Namespace::at(netns)?,
            arguments: subject.arguments.clone(),
            runtime: subject.runtime.clone(),
            result: None,
        })
    }

    pub(super) fn network(&self, file: &Path) -> Result<Configuration> {
        Configuration::from_value(self.configuration.clone())
            .map_err(|why| bad(file, format!("configuration: {why}")))
    }

    /// For whom its plugins are called: in the namespace at `netns`, or else in the recorded one if it is there still.
    pub(super) fn subject(&self, netns: Option<&Path>) -> Subject {
        let recorded = Some(self.netns.as_path())
            .filter(|path| Namespace::at(path).is_ok_and(|it| it == self.namespace));
        Subject {
            container_id: self.container_id.clone(),
            interface: self.interface.clone(),
            netns: netns.or(recorded).map(Path::to_owned),
            arguments: self.arguments.clone(),
            runtime: self.runtime.clone(),
        }
    }
}

impl Namespace {
    fn at(path: &Path) -> Result<Self> {
        const BOOT: &str = "/proc/sys/kernel/random/boot_id";
        let boot = fs::read_to_string(BOOT)
            .map_err(|error| Error::system(format!("read {BOOT}"), error))?;
        let found = fs::metadata(path)
            .map_err(|error| Error::system(format!("stat {}", path.display()), error))?;
        Ok(Self { boot: boot.trim().to_owned(), device: found.dev(), inode: found.ino() })
    }
}

impl Records {
    /// Locks a container's records, making room for them.
    pub(super) fn make(&self, container: &str) -> Result<Locked> {
        loop {
            let dir = self.dir.join(container);
            match DirBuilder::new().recursive(true).mode(0o700).create(&dir) {
                Err(error) if error.kind() != AlreadyExists => {
                    return Err(Error::system(format!("mkdir {}", dir.display()), error));
                }
                _ => {}
            }
            if let Some(locked) = self.lock(container)? {
                return Ok(locked);
            }
        }
    }

    /// Locks a container's records, if it has any.
    pub(super) fn lock(&self, container: &str) -> Result<Option<Locked>> {
        let dir = self.dir.join(container);
        loop {
            let lock = match File::open(&dir) {
                Err(error) if error.kind() == NotFound => return Ok(None),
                opened => opened.map_err(|error| failed("open", &dir, error))?,
            };
            retry_on_intr(|| flock(lock.as_fd(), FlockOperation::LockExclusive))
                .map_err(|errno| failed("flock", &dir, errno))?;
            // Who had the lock may have removed the directory, and another made one of that name.
            if fstat(&lock).map_err(|errno| failed("fstat", &dir, errno))?.st_nlink > 0 {
                return Ok(Some(Locked { dir, lock }));
            }
        }
    }

    /// All that are recorded.
    pub(super) fn all(&self) -> Result<Vec<AttachmentId>> {
        let mut all = Vec::new();
        for container in names(&self.dir)? {
            for file in names(&self.dir.join(&container))? {
                if let Some((network, interface)) = file.split_once(':') {
                    all.extend(AttachmentId::new(network, &container, interface));
                }
            }
        }
        all.sort();
        Ok(all)
    }
}

/// A container's records, that nobody else changes meanwhile.
#[derive(Debug)]
pub(super) struct Locked {
    dir: PathBuf,
    lock: File,
}

impl Locked {
    pub(super) fn file(&self, id: &AttachmentId) -> PathBuf {
        self.dir.join(format!("{}:{}", id.network, id.interface))
    }

    pub(super) fn read(&self, id: &AttachmentId) -> Result<Option<Record>> {
        let file = self.file(id);
        let text = match fs::read(&file) {
            Err(error) if error.kind() == NotFound => return Ok(None),
            read => read.map_err(|error| failed("read", &file, error))?,
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| bad(&file, "not a record of an attachment").because(error))
    }

    pub(super) fn write(&self, id: &AttachmentId, record: &Record) -> Result<()> {
        let (file, new) = (self.file(id), self.dir.join(NEW));
        let text = serde_json::to_vec(record)
            .map_err(|error| bad(&file, "can't be written as JSON").because(error))?;
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        options
            .open(&new)
            .and_then(|mut opened| opened.write_all(&text).and_then(|()| opened.sync_all()))
            .and_then(|()| fs::rename(&new, &file))
            .and_then(|()| self.lock.sync_all())
            .map_err(|error| failed("write", &file, error))
    }

    /// Removes a record, and the container's directory after the last one.
    pub(super) fn remove(self, id: &AttachmentId) -> Result<()> {
        for file in [self.file(id), self.dir.join(NEW)] {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != NotFound => {
                    return Err(failed("unlink", &file, error));
                }
                _ => {}
            }
        }
        match fs::remove_dir(&self.dir) {
            Err(error) if error.kind() != DirectoryNotEmpty => {
                Err(failed("rmdir", &self.dir, error))
            }
            _ => Ok(()),
        }
    }
}

fn names(dir: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if matches!(error.kind(), NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries.map_err(|error| failed("read the directory", dir, error))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed("read the directory", dir, error))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

fn failed(call: &str, path: &Path, error: impl Into<std::io::Error>) -> Error {
    Error::system(format!("{call} {}", path.display()), error)
}

pub(super) fn bad(file: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::BadRecord, format!("{}: {why}", file.display()))
}
