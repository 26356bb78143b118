//! Ending all processes of a cgroup.

use std::collections::HashSet;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use crate::wait::Deadline;
use crate::{Cgroup, Controller, Error, ErrorKind, Result, files};

/// How long to wait for signalled processes before signalling those that came meanwhile.
const ROUND: Duration = Duration::from_millis(50);
/// How long one attempt to stop all processes may take.
const FREEZE: Duration = Duration::from_millis(500);
/// How many file descriptors to hold at once.
const BATCH: usize = 128;

impl Cgroup {
    /// Ends all processes in the cgroup and below it with SIGKILL and waits until they have ended,
    /// however fast they fork. It leaves the cgroup thawed, and does nothing to one that does
    /// not exist. Zombies remain for their parents to wait for.
    ///
    /// At least one round of signals is sent, even `within` no time.
    ///
    /// # Errors
    /// [`TimedOut`](crate::ErrorKind::TimedOut) when some have not ended `within` this time (one
    /// may be stuck in the kernel, or, in version 1, stopped by a cgroup above);
    /// [`HoldsCaller`](crate::ErrorKind::HoldsCaller), [`Denied`](crate::ErrorKind::Denied),
    /// [`System`](crate::ErrorKind::System).
    pub fn kill(&self, within: Duration) -> Result<()> {
        let deadline = Deadline::after(within);
        for round in 0_u32.. {
            let processes = self.others()?;
            // Version 2 may hold processes that this PID namespace does not show.
            if processes.is_empty() && !self.is_populated()? {
                return Ok(());
            }
            if !(self.hierarchy().is_v2() && self.kill_at_once()?) {
                // Most cgroups hold a few processes that do not fork now: the simple way first.
                if round == 0 {
                    signal(&processes, || self.processes())?;
                } else {
                    self.kill_stopped(deadline.remaining().min(FREEZE))?;
                }
                self.thaw_for_signals()?;
            }
            if self.wait_until_empty(deadline.remaining().min(ROUND))? {
                return Ok(());
            }
            if deadline.remaining().is_zero() {
                break;
            }
        }
        Err(Error::timed_out("end", &self.main_dir(), within))
    }

    /// Version 2's `cgroup.kill`, which no fork escapes; false where there is none (before Linux
    /// 5.14).
    fn kill_at_once(&self) -> Result<bool> {
        match files::write(&self.main_dir().join("cgroup.kill"), "1") {
            Ok(()) => Ok(true),
            Err(error) if error.errno().is_some_and(files::is_gone) => Ok(!self.exists()),
            Err(error) => Err(error),
        }
    }

    /// Signals all processes while they are stopped and can't fork.
    fn kill_stopped(&self, within: Duration) -> Result<()> {
        let stopped = match self.freeze_others(within) {
            Ok(()) => true,
            Err(error) => match error.kind() {
                ErrorKind::TimedOut | ErrorKind::NoController | ErrorKind::NotFound => false,
                _ => return Err(error),
            },
        };
        let sent = self.processes().and_then(|processes| {
            if stopped && !self.hierarchy().is_v2() {
                // None can end until thawed, so no id can be another's by now.
                processes.into_iter().try_for_each(send)
            } else {
                signal(&processes, || self.processes())
            }
        });
        // Whatever happened, no process may stay stopped.
        self.thaw_for_signals().and(sent)
    }

    fn thaw_for_signals(&self) -> Result<()> {
        let thawed = if self.hierarchy().is_v2() {
            self.thaw()
        } else if self.dir(Controller::Freezer).is_some() {
            self.thaw_all()
        } else {
            Ok(())
        };
        match thawed {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn wait_until_empty(&self, within: Duration) -> Result<bool> {
        let mut deadline = Deadline::after(within);
        loop {
            if !self.is_populated()? {
                return Ok(true);
            }
            if !deadline.pause() {
                return Ok(false);
            }
        }
    }
}

/// Sends SIGKILL to processes that may end meanwhile, whose ids others may then get: only what is
/// still listed after it was pinned is signalled.
fn signal(processes: &[Pid], list: impl Fn() -> Result<Vec<Pid>>) -> Result<()> {
    for batch in processes.chunks(BATCH) {
        let mut pinned = Vec::with_capacity(batch.len());
        for pid in batch {
            match pidfd_open(*pid, PidfdFlags::empty()) {
                Ok(fd) => pinned.push((*pid, fd)),
                Err(Errno::SRCH) => {}
                // Out of descriptors: the rest gets its turn in the next round.
                Err(Errno::MFILE | Errno::NFILE) => break,
                Err(errno) => return Err(failed(errno)),
            }
        }
        let listed: HashSet<Pid> = list()?.into_iter().collect();
        for (_, fd) in pinned.iter().filter(|(pid, _)| listed.contains(pid)) {
            match pidfd_send_signal(fd, Signal::KILL) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
    Ok(())
}

fn send(process: Pid) -> Result<()> {
    match kill_process(process, Signal::KILL) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(failed(errno)),
    }
}

fn failed(errno: Errno) -> Error {
    Error::call("send SIGKILL to processes of", std::path::Path::new("the cgroup"), errno)
}
