//! `sandbar oci start`.

use oci_spec::runtime::ContainerState;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sandbar_runtime::run_hooks;

use super::create::Hooks;
use super::record::{Directory, Record, Status};
use super::{Context, cgroups};
use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};

/// Start the program of a created container
#[derive(Debug, clap::Args)]
pub(super) struct Start {
    /// The container's id
    id: String,
}

impl Start {
    pub(super) fn execute(self, context: &Context) -> Result<Exit> {
        start(&Directory::new(&context.root, &self.id)?)?;
        Ok(Exit::SUCCESS)
    }
}

/// Starts a created container, and runs its hooks.
pub(super) fn start(directory: &Directory) -> Result<()> {
    let record = directory.record()?;
    let id = directory.id();
    let refuse = |status: Status| {
        let status = status.as_str();
        Err(Failure::new(format!("cannot start container {id}: it is {status}, not created")))
    };
    match directory.status(&record) {
        Status::Created => {}
        other => return refuse(other),
    }
    let path = directory.fifo();
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match rustix::fs::open(&path, flags, Mode::empty()) {
        Ok(fifo) => {
            // Whoever removes it first is the one who starts.
            std::fs::remove_file(&path).doing(format!("start container {id}"))?;
            rustix::io::write(&fifo, b"0").doing(format!("start container {id}"))?;
        }
        Err(Errno::NXIO) => return refuse(Status::Stopped),
        Err(Errno::NOENT) => return refuse(Status::Running),
        Err(errno) => return Err(errno).doing(format!("start container {id}")),
    }
    run_poststart(directory, &record)
}

/// One that fails stops the container, as the specification says.
fn run_poststart(directory: &Directory, record: &Record) -> Result<()> {
    let hooks = Hooks::of(&directory.spec()?).poststart;
    if hooks.is_empty() {
        return Ok(());
    }
    let state = record.state_text(ContainerState::Running)?;
    run_hooks("poststart", &hooks, &state).map_err(|error| {
        let killed = record
            .cgroup
            .cgroup()
            .and_then(|cgroup| cgroup.kill(cgroups::PATIENCE).doing("stop the container"));
        let failure = Failure::new(error.one_line());
        if killed.is_err() {
            failure.hint("and the container could not be stopped")
        } else {
            failure
        }
    })
}
