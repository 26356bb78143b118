//! Stopping all processes of a cgroup, and letting them go on.

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use crate::error::Cause;
use crate::processes::flag;
use crate::wait::Deadline;
use crate::walk::walk;
use crate::{Cgroup, Controller, Error, Result, files};

impl Cgroup {
    /// Stops all processes in the cgroup and below it, and waits until they are stopped. Processes
    /// that come in later are stopped too.
    ///
    /// # Errors
    /// [`TimedOut`](crate::ErrorKind::TimedOut) when some can't be stopped `within` this time (a
    /// process may be stuck in the kernel); all then go on.
    /// [`HoldsCaller`](crate::ErrorKind::HoldsCaller),
    /// [`NotFound`](crate::ErrorKind::NotFound),
    /// [`NoController`](crate::ErrorKind::NoController) without a version 1 freezer,
    /// [`Denied`](crate::ErrorKind::Denied), [`System`](crate::ErrorKind::System).
    pub fn freeze(&self, within: Duration) -> Result<()> {
        self.others()?;
        let frozen = self.freeze_others(within);
        if frozen.is_err() {
            // The first error is the one to tell; a cgroup that is gone can't be thawed.
            let _ = self.thaw();
        }
        frozen
    }

    /// As [`freeze`](Self::freeze), when it is known that the caller is not in the cgroup; on
    /// failure the cgroup is left as it is.
    pub(crate) fn freeze_others(&self, within: Duration) -> Result<()> {
        let switch = self.switch()?;
        let mut deadline = Deadline::after(within);
        for round in 1_u32.. {
            // Version 1 may hang half-way when processes come and go; asking anew helps, and now
            // and then beginning anew.
            if !self.hierarchy().is_v2() && round.is_multiple_of(32) {
                self.write_switch(&switch, "THAWED")?;
            }
            if round == 1 || !self.hierarchy().is_v2() {
                self.write_switch(&switch, if self.hierarchy().is_v2() { "1" } else { "FROZEN" })?;
            }
            if self.is_frozen()? {
                return Ok(());
            }
            if !deadline.pause() {
                break;
            }
        }
        Err(Error::timed_out("freeze", &self.main_dir(), within))
    }

    /// Lets stopped processes go on. A cgroup stopped from above stays so.
    ///
    /// # Errors
    /// As for [`freeze`](Self::freeze), without those of waiting.
    pub fn thaw(&self) -> Result<()> {
        let value = if self.hierarchy().is_v2() { "0" } else { "THAWED" };
        self.write_switch(&self.switch()?, value)
    }

    /// Whether all processes are stopped, by this cgroup or one above it.
    ///
    /// # Errors
    /// As for [`freeze`](Self::freeze), without those of waiting.
    pub fn is_frozen(&self) -> Result<bool> {
        if !self.hierarchy().is_v2() {
            return Ok(self.read_state(&self.switch()?)?.trim_end() == "FROZEN");
        }
        let events = self.main_dir().join("cgroup.events");
        flag(&events, &self.read_state(&events)?, "frozen")
    }

    /// Lets all go on, those too that were stopped by a cgroup below, which a container may have
    /// made: a frozen process of version 1 can't end.
    pub(crate) fn thaw_all(&self) -> Result<()> {
        let top = self.main_dir();
        let thaw = |dir: BorrowedFd<'_>| match files::write_at(dir, c"freezer.state", "THAWED") {
            Err(errno) if !files::is_gone(errno) => Err(errno),
            _ => Ok(()),
        };
        match walk(&top, thaw, |_, _| Ok(())) {
            Err(errno) if !files::is_gone(errno) => Err(Error::call("thaw", &top, errno)),
            _ => Ok(()),
        }
    }

    fn switch(&self) -> Result<PathBuf> {
        let name = if self.hierarchy().is_v2() { "cgroup.freeze" } else { "freezer.state" };
        self.file(Controller::Freezer, name).ok_or_else(|| {
            let controller = Controller::Freezer;
            Cause::NoController { controller, limit: "stopping processes" }.into()
        })
    }

    fn write_switch(&self, switch: &Path, value: &str) -> Result<()> {
        files::write(switch, value).map_err(|error| self.or_not_found(error))
    }

    fn read_state(&self, path: &Path) -> Result<String> {
        files::read(path).map_err(|error| self.or_not_found(error))
    }

    fn or_not_found(&self, error: Error) -> Error {
        match error.errno() {
            Some(source) if matches!(source, Errno::NOENT | Errno::NODEV) && !self.exists() => {
                Cause::NotFound { path: self.main_dir(), source }.into()
            }
            _ => error,
        }
    }
}
