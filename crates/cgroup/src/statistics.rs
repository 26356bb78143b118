//! What a cgroup's processes use and have used.

use std::path::Path;

use crate::processes::keyed;
use crate::walk::walk;
use crate::{Cgroup, Controller, Error, Result, files};

/// What the processes in a cgroup and below it use; `None` for what is not counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Memory in use, in bytes, the page cache included.
    pub memory_current: Option<u64>,
    /// The most memory that was in use at a time, in bytes (version 2: from Linux 5.19).
    pub memory_peak: Option<u64>,
    /// The limit on memory, in bytes, of this cgroup; `None` when unlimited, too.
    pub memory_limit: Option<u64>,
    /// CPU time used, in microseconds.
    pub cpu_usage_usec: Option<u64>,
    /// Processes and threads.
    pub pids_current: Option<u64>,
    /// The limit on processes and threads, of this cgroup; `None` when unlimited, too.
    pub pids_limit: Option<u64>,
    /// Processes that the kernel ended for want of memory.
    pub oom_kills: Option<u64>,
}

impl Cgroup {
    /// Reads the statistics.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`Denied`](crate::ErrorKind::Denied),
    /// [`System`](crate::ErrorKind::System).
    pub fn statistics(&self) -> Result<Statistics> {
        let v2 = self.hierarchy().is_v2();
        let name = |one, two| if v2 { two } else { one };
        let number = |controller, file| self.number(controller, file);
        let memory = Controller::Memory;
        let cpu_usage_usec = if v2 {
            self.read(Controller::Cpu, "cpu.stat")?.and_then(|text| keyed(&text, "usage_usec"))
        } else {
            number(Controller::Cpuacct, "cpuacct.usage")?.map(|nanoseconds| nanoseconds / 1_000)
        };
        let statistics = Statistics {
            memory_current: number(memory, name("memory.usage_in_bytes", "memory.current"))?,
            memory_peak: number(memory, name("memory.max_usage_in_bytes", "memory.peak"))?,
            memory_limit: number(memory, name("memory.limit_in_bytes", "memory.max"))?
                .filter(|limit| *limit < V1_UNLIMITED),
            cpu_usage_usec,
            pids_current: number(Controller::Pids, "pids.current")?,
            pids_limit: number(Controller::Pids, "pids.max")?,
            oom_kills: self.oom_kills_if_there()?,
        };
        if statistics == Statistics::default() {
            self.must_exist()?;
        }
        Ok(statistics)
    }

    /// How many processes the kernel has ended for want of memory; `None` without the memory
    /// controller.
    ///
    /// Version 2 counts those of cgroups below, even removed ones; version 1 counts each cgroup by
    /// itself, so that the count of one that was removed is lost.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`Denied`](crate::ErrorKind::Denied),
    /// [`System`](crate::ErrorKind::System).
    pub fn oom_kills(&self) -> Result<Option<u64>> {
        let kills = self.oom_kills_if_there()?;
        if kills.is_none() {
            self.must_exist()?;
        }
        Ok(kills)
    }

    fn oom_kills_if_there(&self) -> Result<Option<u64>> {
        if self.hierarchy().is_v2() {
            let events = self.read(Controller::Memory, "memory.events")?;
            return Ok(events.and_then(|text| keyed(&text, "oom_kill")));
        }
        let Some(top) = self.dir(Controller::Memory) else { return Ok(None) };
        let mut kills = None;
        let walked = walk(
            &top,
            |dir| {
                let text = match files::read_at(dir, c"memory.oom_control") {
                    Err(errno) if !files::is_gone(errno) => return Err(errno),
                    other => other.unwrap_or_default(),
                };
                if let Some(more) = keyed(&text, "oom_kill") {
                    kills = Some(kills.unwrap_or(0) + more);
                }
                Ok(())
            },
            |_, _| Ok(()),
        );
        match walked {
            Err(errno) if !files::is_gone(errno) => {
                Err(Error::call("read memory.oom_control in", &top, errno))
            }
            _ => Ok(kills),
        }
    }

    pub(crate) fn read(&self, controller: Controller, file: &str) -> Result<Option<String>> {
        self.file(controller, file).map_or(Ok(None), |path| files::read_if_there(&path))
    }

    pub(crate) fn number(&self, controller: Controller, file: &str) -> Result<Option<u64>> {
        let Some(path) = self.file(controller, file) else { return Ok(None) };
        match files::read_if_there(&path)? {
            Some(text) => number(&path, &text),
            None => Ok(None),
        }
    }
}

/// Version 1 shows "unlimited" as the largest `long`, rounded down to pages, whose size varies.
pub(crate) const V1_UNLIMITED: u64 = 0x7fff_ffff_ffff_0000;

pub(crate) fn number(path: &Path, text: &str) -> Result<Option<u64>> {
    match text.trim_end() {
        "max" => Ok(None),
        digits => digits.parse().map(Some).map_err(|_nan| Error::contents(path, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_max() {
        let path = Path::new("pids.max");
        assert_eq!(number(path, "12\n").unwrap(), Some(12));
        assert_eq!(number(path, "max\n").unwrap(), None);
        assert!(number(path, "x\n").is_err());
        let four_kib_pages = 9_223_372_036_854_771_712;
        assert!(four_kib_pages >= V1_UNLIMITED);
    }
}
