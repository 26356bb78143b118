//! `sandbar oci delete`.

use std::time::{Duration, Instant};

use oci_spec::runtime::ContainerState;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, pidfd_send_signal};
use sandbar_runtime::run_hooks;

use super::create::Hooks;
use super::record::{Directory, Record, Status};
use super::{Context, cgroups};
use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};

/// Delete a container that has ended, or never started
#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// End it first; one that does not exist is no error
    #[arg(short, long)]
    force: bool,
    /// The container's id
    id: String,
}

impl Delete {
    pub(super) fn execute(self, context: &Context) -> Result<Exit> {
        let directory = Directory::new(&context.root, &self.id)?;
        let Some(record) = directory.find()? else {
            // What is there without a record was left by a create that was killed at its beginning.
            return match (self.force, directory.exists()) {
                (true, _) => directory.remove().map(|()| Exit::SUCCESS),
                _ => directory.record().map(|_record| Exit::SUCCESS),
            };
        };
        match directory.status(&record) {
            Status::Stopped | Status::Created => {}
            _ if self.force => {}
            status => {
                let (id, status) = (&self.id, status.as_str());
                return Err(Failure::new(format!(
                    "cannot delete container {id} that is not stopped: {status}"
                ))
                .hint("--force ends it first"));
            }
        }
        delete(context, &directory)?;
        Ok(Exit::SUCCESS)
    }
}

/// Deletes a container, ending what runs of it, and runs its hooks.
pub(super) fn delete(context: &Context, directory: &Directory) -> Result<()> {
    let record = directory.record()?;
    let hooks = directory.spec().map(|spec| Hooks::of(&spec).poststop);
    remove(directory, &record)?;
    // One that fails is told, and the others are run.
    for hook in hooks.unwrap_or_default() {
        let state = record.state_text(ContainerState::Stopped)?;
        if let Err(error) = run_hooks("poststop", &[hook], &state) {
            context.log.warn(&error.one_line());
        }
    }
    Ok(())
}

/// Ends what runs of a container and removes what was made for it.
pub(super) fn remove(directory: &Directory, record: &Record) -> Result<()> {
    if let Some(process) = record.process.and_then(super::record::Process::pidfd) {
        let action = || format!("end container {}", directory.id());
        pidfd_send_signal(&process, Signal::KILL).doing(action())?;
        // What stands still does not end.
        if cgroups::is_frozen(record) {
            cgroups::required(record)?.thaw().doing(action())?;
        }
        if !ends(&process, cgroups::PATIENCE)? {
            return Err(Failure::new(format!("cannot {}: it does not end", action())));
        }
    }
    cgroups::remove(record)?;
    directory.remove()
}

fn ends(process: &std::os::fd::OwnedFd, within: Duration) -> Result<bool> {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&timeout)) {
            Ok(0) if left.is_zero() => return Ok(false),
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            polled => return polled.map(|_| true).doing("wait for a process"),
        }
    }
}
