//! The controllers Sandbar knows, and sets of them.

use std::fmt;

/// A cgroup controller: what can be limited or counted.
///
/// See <https://docs.kernel.org/admin-guide/cgroup-v2.html#controllers> and, for version 1,
/// <https://docs.kernel.org/admin-guide/cgroup-v1/index.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum Controller {
    /// Shares of CPU time and ceilings on it.
    Cpu = 1,
    /// CPU time used (version 1; version 2 always counts it).
    Cpuacct = 2,
    /// Which CPUs and memory nodes may be used.
    Cpuset = 4,
    /// Which devices may be opened (version 1; version 2 has BPF programs for this).
    Devices = 8,
    /// Stopping all processes at once (version 1; version 2 always can).
    Freezer = 16,
    /// Block device input and output; `blkio` in version 1.
    Io = 32,
    /// Memory and swap.
    Memory = 64,
    /// The number of processes and threads.
    Pids = 128,
    /// Huge pages.
    HugeTlb = 256,
    /// The class of network packets (version 1).
    NetCls = 512,
    /// The priority of network packets, by interface (version 1).
    NetPrio = 1024,
    /// Handles and objects of RDMA devices.
    Rdma = 2048,
    /// Scalar resources of the machine (version 2).
    Misc = 4096,
}

impl Controller {
    const ALL: [Self; 13] = [
        Self::Cpu,
        Self::Cpuacct,
        Self::Cpuset,
        Self::Devices,
        Self::Freezer,
        Self::HugeTlb,
        Self::Io,
        Self::Memory,
        Self::Misc,
        Self::NetCls,
        Self::NetPrio,
        Self::Pids,
        Self::Rdma,
    ];

    /// The controller's name as version 2 writes it (version 1 alone calls `io` `blkio`).
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cpuacct => "cpuacct",
            Self::Cpuset => "cpuset",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
            Self::Io => "io",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::HugeTlb => "hugetlb",
            Self::NetCls => "net_cls",
            Self::NetPrio => "net_prio",
            Self::Rdma => "rdma",
            Self::Misc => "misc",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "blkio" => Some(Self::Io),
            name => Self::ALL.into_iter().find(|c| c.as_str() == name),
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of [`Controller`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Controllers(u16);

impl Controllers {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) const fn of(list: &[Controller]) -> Self {
        let mut bits = 0;
        let mut i = 0;
        while i < list.len() {
            bits |= list[i] as u16;
            i += 1;
        }
        Self(bits)
    }

    /// Reads names that `separator` divides; unknown ones are left out.
    pub(crate) fn parse(names: &str, separator: char) -> Self {
        names
            .trim_end()
            .split(separator)
            .filter_map(Controller::from_name)
            .fold(Self::NONE, Self::with)
    }

    /// Whether `controller` is in the set.
    #[must_use]
    pub fn contains(self, controller: Controller) -> bool {
        self.0 & controller as u16 != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The controllers in the set, in the order of their names.
    pub fn iter(self) -> impl Iterator<Item = Controller> {
        Controller::ALL.into_iter().filter(move |c| self.contains(*c))
    }

    pub(crate) fn with(self, controller: Controller) -> Self {
        Self(self.0 | controller as u16)
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl fmt::Debug for Controllers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_spellings_and_leaves_unknown_names_out() {
        let v1 = Controllers::parse("rw,blkio,cpu,perf_event", ',');
        assert_eq!(v1, Controllers::of(&[Controller::Io, Controller::Cpu]));
        let v2 = Controllers::parse("cpuset cpu io memory hugetlb pids dmem\n", ' ');
        assert_eq!(format!("{v2:?}"), "{Cpu, Cpuset, HugeTlb, Io, Memory, Pids}");
        assert!(Controllers::parse("\n", ' ').is_empty());
    }
}
