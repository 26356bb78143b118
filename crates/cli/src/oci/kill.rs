//! `sandbar oci kill`.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use sandbar_spec::SignalNumber;

use super::process::number;
use super::record::Directory;
use super::{Context, cgroups};
use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};

/// Send a signal to a container's first process
#[derive(Debug, clap::Args)]
pub(super) struct Kill {
    /// To all its processes
    #[arg(short, long)]
    all: bool,
    /// The container's id
    id: String,
    /// The signal's name or number
    #[arg(default_value = "TERM")]
    signal: SignalNumber,
}

impl Kill {
    pub(super) fn execute(self, context: &Context) -> Result<Exit> {
        let directory = Directory::new(&context.root, &self.id)?;
        let record = directory.record()?;
        let action = format!("send signal {} to container {}", self.signal, self.id);
        let Some(signal) = number(self.signal) else {
            return Err(Failure::new(format!(
                "cannot {action}: the C library keeps it for itself"
            )));
        };
        if self.all {
            let cgroup = record.cgroup.cgroup()?;
            if self.signal == SignalNumber::KILL {
                cgroup.kill(cgroups::PATIENCE).doing(&action)?;
                return Ok(Exit::SUCCESS);
            }
            for pid in cgroup.processes().doing(&action)? {
                // First the descriptor, then the list once more: a number may be somebody else's meanwhile.
                let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { continue };
                if cgroup.processes().doing(&action)?.contains(&pid) {
                    signal_process(&process, signal).doing(&action)?;
                }
            }
            return Ok(Exit::SUCCESS);
        }
        // Engines know by these words that there is nothing left to signal.
        let process = record.process.and_then(super::record::Process::pidfd);
        let process = process
            .ok_or_else(|| Failure::new(format!("cannot {action}: container not running")))?;
        pidfd_send_signal(&process, signal).doing(&action)?;
        // What stands still does not end.
        if self.signal == SignalNumber::KILL && cgroups::is_frozen(&record) {
            record.cgroup.cgroup()?.thaw().doing(action)?;
        }
        Ok(Exit::SUCCESS)
    }
}

/// One that has ended meanwhile has no use for it.
fn signal_process(process: &OwnedFd, signal: Signal) -> rustix::io::Result<()> {
    match pidfd_send_signal(process, signal) {
        Err(Errno::SRCH) => Ok(()),
        sent => sent,
    }
}
