//! Limits that come in lists: of devices, interfaces, page sizes and files.

use crate::error::Cause;
use crate::{Ceiling, Result};

/// Limits on block device input and output. See "IO" in
/// <https://docs.kernel.org/admin-guide/cgroup-v2.html> and, for version 1,
/// <https://docs.kernel.org/admin-guide/cgroup-v1/blkio-controller.html>.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IoLimits {
    /// Weight against siblings, 10 to 1,000.
    pub weight: Option<u16>,
    /// Weight of this cgroup's own processes against the cgroups below, 10 to 1,000. Version 1
    /// only, up to Linux 4.20.
    pub leaf_weight: Option<u16>,
    /// Weights for one device each.
    pub devices: Vec<IoWeight>,
    /// Ceilings on the traffic with one device each.
    pub throttles: Vec<IoThrottle>,
}

/// The numbers of a block device, as `lsblk` shows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockDevice {
    /// The major number.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
}

impl std::fmt::Display for BlockDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// Weights for one block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoWeight {
    /// The device.
    pub device: BlockDevice,
    /// As [`IoLimits::weight`].
    pub weight: Option<u16>,
    /// As [`IoLimits::leaf_weight`].
    pub leaf_weight: Option<u16>,
}

/// The most traffic with one block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoThrottle {
    /// The device.
    pub device: BlockDevice,
    /// What is bounded.
    pub what: Throttled,
    /// How much of it in a second; 0 is unlimited.
    pub rate: u64,
}

/// What an [`IoThrottle`] bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttled {
    /// Bytes read.
    ReadBytes,
    /// Bytes written.
    WriteBytes,
    /// Reads.
    Reads,
    /// Writes.
    Writes,
}

/// A limit on huge pages of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HugePages {
    size: String,
    ceiling: Ceiling,
}

impl HugePages {
    /// At most `ceiling` bytes in pages of `size`, which is written as in `2MB` or `1GB`.
    ///
    /// # Errors
    /// [`InvalidLimit`](crate::ErrorKind::InvalidLimit).
    pub fn new(size: impl Into<String>, ceiling: Ceiling) -> Result<Self> {
        let size = size.into();
        let number = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
        let is_number = |n: &str| {
            (1..=9).contains(&n.len())
                && !n.starts_with('0')
                && n.bytes().all(|b| b.is_ascii_digit())
        };
        if number.is_some_and(is_number) {
            return Ok(Self { size, ceiling });
        }
        invalid("huge page size", &size, "it must be a number and KB, MB or GB, like 2MB")
    }

    pub(crate) fn size(&self) -> &str {
        &self.size
    }

    pub(crate) fn ceiling(&self) -> Ceiling {
        self.ceiling
    }
}

/// A limit on the use of one RDMA device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RdmaLimit {
    device: String,
    handles: Option<Ceiling>,
    objects: Option<Ceiling>,
}

impl RdmaLimit {
    /// At most so many handles and objects of `device`; what is `None` stays.
    ///
    /// # Errors
    /// [`InvalidLimit`](crate::ErrorKind::InvalidLimit) for a name that can't be one.
    pub fn new(
        device: impl Into<String>,
        handles: Option<Ceiling>,
        objects: Option<Ceiling>,
    ) -> Result<Self> {
        let device = word("RDMA device", device.into())?;
        Ok(Self { device, handles, objects })
    }

    pub(crate) fn device(&self) -> &str {
        &self.device
    }

    /// The limits by the kernel's names.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, Ceiling)> {
        let all = [("hca_handle", self.handles), ("hca_object", self.objects)];
        all.into_iter().filter_map(|(name, ceiling)| ceiling.map(|ceiling| (name, ceiling)))
    }
}

/// The priority of what is sent through one network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkPriority {
    interface: String,
    priority: u32,
}

impl NetworkPriority {
    /// `priority` on the interface of this name.
    ///
    /// # Errors
    /// [`InvalidLimit`](crate::ErrorKind::InvalidLimit) for a name that can't be one.
    pub fn new(interface: impl Into<String>, priority: u32) -> Result<Self> {
        Ok(Self { interface: word("network interface", interface.into())?, priority })
    }

    pub(crate) fn interface(&self) -> &str {
        &self.interface
    }

    pub(crate) fn priority(&self) -> u32 {
        self.priority
    }
}

/// A file of version 2 and what to write to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unified {
    file: String,
    value: String,
}

impl Unified {
    /// Writes `value` to `file`, each line by itself, as keyed files take it.
    ///
    /// # Errors
    /// [`InvalidLimit`](crate::ErrorKind::InvalidLimit) unless `file` is the plain name of a file.
    pub fn new(file: impl Into<String>, value: impl Into<String>) -> Result<Self> {
        let file = word("version 2 file", file.into())?;
        if file.contains('/') || !file.contains('.') || file.starts_with('.') {
            return invalid("version 2 file", &file, "it must be a file's name, like memory.high");
        }
        Ok(Self { file, value: value.into() })
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    pub(crate) fn value(&self) -> &str {
        &self.value
    }
}

/// Refuses what would be two words or two lines where the kernel reads one.
fn word(limit: &'static str, word: String) -> Result<String> {
    if word.is_empty() || word.len() > 255 || !word.bytes().all(|b| b.is_ascii_graphic()) {
        return invalid(limit, &word, "it must be one word of visible ASCII characters");
    }
    Ok(word)
}

fn invalid<T>(limit: &'static str, value: &str, why: &'static str) -> Result<T> {
    Err(Cause::InvalidLimit { limit: limit.into(), value: format!("{value:?}"), why }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn page_sizes() {
        for good in ["2MB", "64KB", "1GB", "512MB"] {
            assert_eq!(HugePages::new(good, Ceiling::At(1)).unwrap().size(), good);
        }
        for bad in ["", "MB", "2", "02MB", "2 MB", "../2MB", "2TB", "-2MB", "1234567890KB"] {
            let error = HugePages::new(bad, Ceiling::At(1)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidLimit, "{bad:?}");
        }
    }

    #[test]
    fn a_unified_file_is_never_elsewhere() {
        for good in ["memory.high", "cgroup.max.depth", "misc.max"] {
            assert_eq!(Unified::new(good, "1").unwrap().file(), good);
        }
        for bad in
            ["", "..", ".", "../memory.high", "/memory.high", "a/b.c", "memory", "a.b\n", "a. b"]
        {
            let error = Unified::new(bad, "1").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidLimit, "{bad:?}");
        }
    }

    #[test]
    fn names_that_would_be_two_words_are_refused() {
        assert!(RdmaLimit::new("mlx5_0 hca_handle=max", None, None).is_err());
        assert!(NetworkPriority::new("eth0\nlo", 1).is_err());
    }
}
