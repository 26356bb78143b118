//! What is kept of a container: `state.json`, a copy of its bundle's `config.json`, and the FIFO that starts it.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use oci_spec::runtime::{ContainerState, Spec, State};
use rustix::fs::{FlockOperation, Mode, OFlags, Stat, fcntl_lock};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use sandbar_sys::{process_lives, process_start};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::cgroups::Place;
use crate::failure::{Doing, Failure, Result};

/// The longest id that is taken.
const LONGEST: usize = 255;

/// A container's directory below the root.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    id: String,
    path: PathBuf,
}

/// What is written of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub(super) oci_version: String,
    pub(super) id: String,
    pub(super) bundle: PathBuf,
    pub(super) rootfs: PathBuf,
    #[serde(default)]
    pub(super) annotations: std::collections::BTreeMap<String, String>,
    pub(super) created: Timestamp,
    /// Its cgroup; recorded before it is made.
    pub(super) cgroup: Place,
    /// Its first process, and when that began, which tells it from a later one of the same number.
    pub(super) process: Option<Process>,
    /// Whether its processes get session keyrings of their own.
    #[serde(default)]
    pub(super) new_keyring: bool,
    /// Whether its process waits for its start, or is past that: until then nobody but its creator acts on it.
    #[serde(default)]
    pub(super) ready: bool,
}

/// A process, beyond doubt.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) start: Option<u64>,
}

impl Process {
    pub(super) fn new(pid: Pid) -> Self {
        let pid = pid.as_raw_nonzero().get();
        Self { pid, start: process_start(pid) }
    }

    /// A descriptor of it; `None` when it has ended.
    pub(super) fn pidfd(self) -> Option<OwnedFd> {
        // First the descriptor, then the comparison: what it refers to can't change any more.
        let pidfd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        process_lives(self.pid, self.start).then_some(pidfd)
    }
}

impl Directory {
    /// That of the container `id`, whether it exists or not.
    pub(super) fn new(root: &Path, id: &str) -> Result<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
        if id.is_empty()
            || id.len() > LONGEST
            || !id.bytes().all(allowed)
            || id == "."
            || id == ".."
        {
            let hint = "an id is 1 to 255 of A-Z a-z 0-9 _ + - . and neither . nor ..";
            return Err(Failure::new(format!("invalid container id {id:?}")).hint(hint));
        }
        Ok(Self { id: id.to_owned(), path: root.join(id) })
    }

    /// Makes it; nobody else has a container of this id then.
    pub(super) fn make(&self) -> Result<()> {
        let root = self.path.parent().unwrap_or(Path::new("/"));
        let action = format!("record container {}", self.id);
        let private = |recursive| {
            let mut builder = DirBuilder::new();
            builder.mode(0o700).recursive(recursive);
            builder
        };
        private(true).create(root).doing(&action)?;
        match private(false).create(&self.path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(self.taken()),
            made => made.doing(&action),
        }
    }

    /// Refuses an id that a container has: the first thing that is to be known.
    pub(super) fn must_be_free(&self) -> Result<()> {
        if self.path.exists() { Err(self.taken()) } else { Ok(()) }
    }

    fn taken(&self) -> Failure {
        Failure::new(format!("container with id {} exists already", self.id))
            .hint(format!("'sandbar oci delete {}' removes it", self.id))
    }

    /// Keeps others from creating or deleting the container until what this returns is dropped; `None` if there is
    /// nothing of it.
    pub(super) fn lock(&self) -> Result<Option<OwnedFd>> {
        let path = self.path.join("lock");
        let action = || format!("lock {}", path.display());
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = match rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600)) {
            Err(Errno::NOENT) => return Ok(None),
            opened => opened.doing(action())?,
        };
        // Of this process alone (`F_SETLKW`): a container's process that waits for its start does not have it.
        rustix::io::retry_on_intr(|| fcntl_lock(&file, FlockOperation::LockExclusive))
            .doing(action())?;
        // Whoever had it may have removed the container, and another may have made one of the same id since.
        let same = |a: &Stat, b: &Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
        let held = rustix::fs::fstat(&file).doing(action())?;
        match rustix::fs::stat(&path) {
            Ok(there) if same(&held, &there) => Ok(Some(file)),
            _ => Ok(None),
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Written to when the container is started; gone afterwards.
    pub(super) fn fifo(&self) -> PathBuf {
        self.path.join("start")
    }

    /// Where the root is mounted, in the container's mount namespace alone.
    pub(super) fn mount_point(&self) -> PathBuf {
        self.path.join("rootfs")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.path.join("config.json")
    }

    /// The specification that the container was created with.
    pub(super) fn spec(&self) -> Result<Spec> {
        let path = self.config();
        let text = fs::read(&path).doing(format!("read {}", path.display()))?;
        super::json::read(path.display(), &text)
    }

    /// What is recorded.
    pub(super) fn record(&self) -> Result<Record> {
        self.find()?.ok_or_else(|| Failure::new(format!("container {} does not exist", self.id)))
    }

    /// What is recorded, if the container exists.
    pub(super) fn find(&self) -> Result<Option<Record>> {
        let path = self.path.join("state.json");
        match fs::read(&path) {
            Ok(text) => super::json::read(path.display(), &text).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).doing(format!("read {}", path.display())),
        }
    }

    /// Puts `record` in place of what was there.
    pub(super) fn write(&self, record: &Record) -> Result<()> {
        let (path, beside) = (self.path.join("state.json"), self.path.join("state.json.new"));
        let action = || format!("write {}", path.display());
        let text = serde_json::to_vec(record).doing(action())?;
        fs::write(&beside, text).and_then(|()| fs::rename(&beside, &path)).doing(action())
    }

    /// Removes it, if it is there.
    pub(super) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).doing(format!("remove {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Where the container is in its life.
    pub(super) fn status(&self, record: &Record) -> Status {
        match record.process {
            None => Status::Creating,
            Some(process) if !process_lives(process.pid, process.start) => Status::Stopped,
            Some(_) if !record.ready => Status::Creating,
            Some(_) if self.fifo().exists() => Status::Created,
            Some(_) if super::cgroups::is_frozen(record) => Status::Paused,
            Some(_) => Status::Running,
        }
    }
}

/// Where a container is in its life; the specification's states, and runc's `paused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

impl Record {
    /// The state as the specification has it (`runtime.md`, "State").
    pub(super) fn state(&self, status: ContainerState) -> State {
        let pid = self.process.filter(|_| status != ContainerState::Stopped).map(|it| it.pid);
        let mut state = State::default();
        state
            .set_version(self.oci_version.clone())
            .set_id(self.id.clone())
            .set_status(status)
            .set_pid(pid)
            .set_bundle(self.bundle.clone())
            .set_annotations(Some(self.annotations.clone().into_iter().collect()));
        state
    }

    /// The same as JSON, for hooks.
    pub(super) fn state_text(&self, status: ContainerState) -> Result<String> {
        serde_json::to_string(&self.state(status)).doing("write the container's state")
    }

    /// The same with what runc adds to it, for whoever asks.
    pub(super) fn shown(&self, status: Status) -> Value {
        let pid = self.process.filter(|_| status != Status::Stopped).map_or(0, |it| it.pid);
        json!({
            "ociVersion": self.oci_version,
            "id": self.id,
            "pid": pid,
            "status": status.as_str(),
            "bundle": self.bundle,
            "rootfs": self.rootfs,
            "created": self.created,
            "annotations": self.annotations,
            "owner": "",
        })
    }
}
