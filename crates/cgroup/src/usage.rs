//! All that the kernel counts for a cgroup, for whoever shows it; [`Statistics`](crate::Statistics)
//! are the few numbers that are cheap.

mod cpu;
mod io;
mod memory;
mod pressure;

use std::collections::BTreeMap;

pub use cpu::CpuUsage;
pub use io::IoEntry;
pub use memory::{MemoryCounter, MemoryUsage};
pub use pressure::{Pressure, Stalled};

use crate::statistics::number;
use crate::{Cgroup, Controller, Result, files};

/// What a cgroup's processes use and have used, all in all. What is not counted here is `None` or
/// empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// CPU time.
    pub cpu: CpuUsage,
    /// Memory.
    pub memory: MemoryUsage,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// The limit on processes and threads; `None` when unlimited, too.
    pub pids_limit: Option<u64>,
    /// Block device input and output, by device and operation.
    pub io: Vec<IoEntry>,
    /// Huge pages, by their size, as in `2MB`.
    pub huge_pages: BTreeMap<String, HugePagesUsage>,
    /// Time in which processes waited for CPUs. Version 2 only, like the other two.
    pub cpu_pressure: Option<Pressure>,
    /// Time in which processes waited for memory.
    pub memory_pressure: Option<Pressure>,
    /// Time in which processes waited for input and output.
    pub io_pressure: Option<Pressure>,
}

/// Huge pages of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HugePagesUsage {
    /// Bytes in use.
    pub usage: u64,
    /// The most bytes in use at a time. Version 1 only.
    pub peak: Option<u64>,
    /// How often the limit was hit.
    pub failures: u64,
}

impl Cgroup {
    /// Reads all that is counted.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`Denied`](crate::ErrorKind::Denied),
    /// [`System`](crate::ErrorKind::System).
    pub fn usage(&self) -> Result<Usage> {
        let v2 = self.hierarchy().is_v2();
        let usage = Usage {
            cpu: if v2 { self.cpu_v2()? } else { self.cpu_v1()? },
            memory: if v2 { self.memory_v2()? } else { self.memory_v1()? },
            pids: self.number(Controller::Pids, "pids.current")?,
            pids_limit: self.number(Controller::Pids, "pids.max")?,
            io: if v2 { self.io_v2()? } else { self.io_v1()? },
            huge_pages: self.huge_pages()?,
            cpu_pressure: self.pressure("cpu.pressure")?,
            memory_pressure: self.pressure("memory.pressure")?,
            io_pressure: self.pressure("io.pressure")?,
        };
        self.must_exist()?;
        Ok(usage)
    }

    fn huge_pages(&self) -> Result<BTreeMap<String, HugePagesUsage>> {
        let mut all = BTreeMap::new();
        let Some(dir) = self.dir(Controller::HugeTlb) else { return Ok(all) };
        let v2 = self.hierarchy().is_v2();
        let suffix = if v2 { ".current" } else { ".usage_in_bytes" };
        for name in files::names(&dir)? {
            let size = name.strip_prefix("hugetlb.").and_then(|rest| rest.strip_suffix(suffix));
            let Some(size) = size.filter(|size| !size.contains('.')) else { continue };
            let of = |what: &str| format!("hugetlb.{size}.{what}");
            let count = |file: &str| self.number(Controller::HugeTlb, file);
            let failures = if v2 {
                self.keyed(Controller::HugeTlb, &of("events"), "max")?
            } else {
                count(&of("failcnt"))?
            };
            let usage = HugePagesUsage {
                usage: count(&name)?.unwrap_or_default(),
                peak: if v2 { None } else { count(&of("max_usage_in_bytes"))? },
                failures: failures.unwrap_or_default(),
            };
            all.insert(size.to_owned(), usage);
        }
        Ok(all)
    }

    /// The value of `key` in a flat keyed file, where both are there.
    pub(crate) fn keyed(
        &self,
        controller: Controller,
        file: &str,
        key: &str,
    ) -> Result<Option<u64>> {
        Ok(self.read(controller, file)?.and_then(|text| crate::processes::keyed(&text, key)))
    }

    /// The numbers of a file that has several, separated by white space.
    pub(crate) fn numbers(&self, controller: Controller, file: &str) -> Result<Vec<u64>> {
        let Some(text) = self.read(controller, file)? else { return Ok(Vec::new()) };
        let path = self.file(controller, file).unwrap_or_default();
        let numbers = text.split_whitespace().map(|word| number(&path, word));
        numbers.map(|number| number.map(Option::unwrap_or_default)).collect()
    }
}
