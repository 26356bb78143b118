//! `sandbar oci delete`.

use oci_spec::runtime::{ContainerState, Hook};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use sandbar_runtime::run_hooks;
use sandbar_sys::ends_within;

use super::create::Hooks;
use super::record::{Directory, Process, Record, Status};
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
        if self.force {
            // One that is being created ends first, so that its creator lets go of it.
            if let Some(process) = directory.find()?.and_then(|record| record.process) {
                end(&directory, process, None)?;
            }
        }
        let Some(_lock) = directory.lock()? else {
            return match self.force {
                true => Ok(Exit::SUCCESS),
                false => directory.record().map(|_record| Exit::SUCCESS),
            };
        };
        let Some(record) = directory.find()? else {
            // What is there without a record was left by a create that was killed at its beginning.
            return match self.force {
                true => directory.remove().map(|()| Exit::SUCCESS),
                false => directory.record().map(|_record| Exit::SUCCESS),
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
        delete_locked(context, &directory, &record)?;
        Ok(Exit::SUCCESS)
    }
}

/// Deletes a container, ending what runs of it, and runs its hooks.
pub(super) fn delete(context: &Context, directory: &Directory) -> Result<()> {
    let Some(_lock) = directory.lock()? else { return Ok(()) };
    delete_locked(context, directory, &directory.record()?)
}

/// The same for whoever has the lock.
pub(super) fn delete_locked(
    context: &Context,
    directory: &Directory,
    record: &Record,
) -> Result<()> {
    let spec = directory.spec();
    remove(directory, record)?;
    match spec {
        Ok(spec) => run_poststop(context, record, &Hooks::of(&spec).poststop),
        Err(failure) => {
            context
                .log
                .warn(&format!("poststop hooks are not run: {}", failure.lines().trim_end()));
            Ok(())
        }
    }
}

/// Runs the hooks after a container's end. One that fails is told, and the others are run.
fn run_poststop(context: &Context, record: &Record, hooks: &[Hook]) -> Result<()> {
    for hook in hooks {
        let state = record.state_text(ContainerState::Stopped)?;
        if let Err(error) = run_hooks("poststop", std::slice::from_ref(hook), &state) {
            context.log.warn(&error.one_line());
        }
    }
    Ok(())
}

/// Ends what runs of a container and removes what was made for it.
pub(super) fn remove(directory: &Directory, record: &Record) -> Result<()> {
    if let Some(process) = record.process {
        end(directory, process, Some(record))?;
    }
    cgroups::remove(record)?;
    directory.remove()
}

/// Ends a container's first process; `record` tells of its cgroup, in which it may stand still.
fn end(directory: &Directory, process: Process, record: Option<&Record>) -> Result<()> {
    let Some(pidfd) = process.pidfd() else { return Ok(()) };
    let action = || format!("end container {}", directory.id());
    match pidfd_send_signal(&pidfd, Signal::KILL) {
        Err(Errno::SRCH) => return Ok(()),
        sent => sent.doing(action())?,
    }
    if let Some(record) = record.filter(|record| cgroups::is_frozen(record)) {
        record.cgroup.cgroup()?.thaw().doing(action())?;
    }
    if record.is_some() && !ends_within(&pidfd, cgroups::PATIENCE).doing(action())? {
        return Err(Failure::new(format!("cannot {}: it does not end", action())));
    }
    Ok(())
}
