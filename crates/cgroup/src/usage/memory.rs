//! Memory and swap.

use std::collections::BTreeMap;

use crate::{Cgroup, Controller, Result};

/// Memory used, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryUsage {
    /// Memory, the page cache included.
    pub memory: MemoryCounter,
    /// Memory and swap in version 1, swap alone in version 2, as the kernel counts them.
    pub swap: MemoryCounter,
    /// Memory of the kernel. Version 1 only.
    pub kernel: MemoryCounter,
    /// Memory of TCP buffers. Version 1 only.
    pub kernel_tcp: MemoryCounter,
    /// The page cache.
    pub cache: Option<u64>,
    /// Processes that the kernel ended for want of memory.
    pub oom_kills: Option<u64>,
    /// All of `memory.stat`, by the kernel's names.
    pub stat: BTreeMap<String, u64>,
}

/// One sort of memory, in bytes; `None` for what is not counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryCounter {
    /// In use.
    pub usage: Option<u64>,
    /// The most in use at a time.
    pub peak: Option<u64>,
    /// The limit; `None` when unlimited, too.
    pub limit: Option<u64>,
    /// How often the limit was hit.
    pub failures: Option<u64>,
}

impl Cgroup {
    pub(super) fn memory_v1(&self) -> Result<MemoryUsage> {
        let counter = |name: &str| {
            let number = |file: &str| self.number(Controller::Memory, &format!("{name}.{file}"));
            Ok::<_, crate::Error>(MemoryCounter {
                usage: number("usage_in_bytes")?,
                peak: number("max_usage_in_bytes")?,
                limit: number("limit_in_bytes")?.filter(|n| *n < crate::statistics::V1_UNLIMITED),
                failures: number("failcnt")?,
            })
        };
        let stat = self.memory_stat()?;
        Ok(MemoryUsage {
            memory: counter("memory")?,
            swap: counter("memory.memsw")?,
            kernel: counter("memory.kmem")?,
            kernel_tcp: counter("memory.kmem.tcp")?,
            cache: stat.get("cache").copied(),
            oom_kills: self.keyed(Controller::Memory, "memory.oom_control", "oom_kill")?,
            stat,
        })
    }

    pub(super) fn memory_v2(&self) -> Result<MemoryUsage> {
        let counter = |name: &str, events: &str| {
            let number = |file: &str| self.number(Controller::Memory, &format!("{name}.{file}"));
            Ok::<_, crate::Error>(MemoryCounter {
                usage: number("current")?,
                peak: number("peak")?,
                limit: number("max")?,
                failures: self.keyed(Controller::Memory, events, "max")?,
            })
        };
        let stat = self.memory_stat()?;
        Ok(MemoryUsage {
            memory: counter("memory", "memory.events")?,
            swap: counter("memory.swap", "memory.swap.events")?,
            cache: stat.get("file").copied(),
            oom_kills: self.keyed(Controller::Memory, "memory.events", "oom_kill")?,
            stat,
            ..MemoryUsage::default()
        })
    }

    fn memory_stat(&self) -> Result<BTreeMap<String, u64>> {
        Ok(parse(&self.read(Controller::Memory, "memory.stat")?.unwrap_or_default()))
    }
}

fn parse(text: &str) -> BTreeMap<String, u64> {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_has_every_number_by_name() {
        let map =
            parse("anon 1\nfile 2\nnonsense\nhierarchical_memory_limit 18446744073709551615\n");
        assert_eq!(map.len(), 3);
        assert_eq!((map["file"], map["hierarchical_memory_limit"]), (2, u64::MAX));
    }
}
