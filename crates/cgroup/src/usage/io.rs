//! Block device input and output.

use crate::{BlockDevice, Cgroup, Controller, Result};

/// How much of one operation was done with one device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoEntry {
    /// The device.
    pub device: BlockDevice,
    /// The operation as version 1's kernel calls it: `Read`, `Write`, `Discard`, `Sync`, …
    pub operation: String,
    /// Bytes.
    pub bytes: u64,
    /// Operations.
    pub count: u64,
}

impl Cgroup {
    pub(super) fn io_v1(&self) -> Result<Vec<IoEntry>> {
        // What CFQ, BFQ or the throttle counts, whichever counted anything.
        for kind in ["blkio", "blkio.bfq", "blkio.throttle"] {
            let read = |what| self.read(Controller::Io, &format!("{kind}.io_{what}_recursive"));
            let bytes = read("service_bytes")?.unwrap_or_default();
            let counts = read("serviced")?.unwrap_or_default();
            let entries = parse_v1(&bytes, &counts);
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
        Ok(Vec::new())
    }

    pub(super) fn io_v2(&self) -> Result<Vec<IoEntry>> {
        Ok(parse_v2(&self.read(Controller::Io, "io.stat")?.unwrap_or_default()))
    }
}

/// Lines of `8:0 Read 4096`, and one that begins with `Total`.
fn parse_v1(bytes: &str, counts: &str) -> Vec<IoEntry> {
    fn lines(text: &str) -> impl Iterator<Item = (BlockDevice, &str, u64)> {
        text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let device = device(words.next()?)?;
            Some((device, words.next()?, words.next()?.parse().ok()?))
        })
    }
    let entry = |(device, operation, bytes): (BlockDevice, &str, u64)| {
        let count = lines(counts).find(|(d, o, _)| (*d, *o) == (device, operation));
        let count = count.map_or(0, |(_, _, count)| count);
        IoEntry { device, operation: operation.to_owned(), bytes, count }
    };
    lines(bytes).map(entry).collect()
}

/// Lines of `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
fn parse_v2(text: &str) -> Vec<IoEntry> {
    const OPERATIONS: [(&str, &str, &str); 3] = [
        ("Read", "rbytes=", "rios="),
        ("Write", "wbytes=", "wios="),
        ("Discard", "dbytes=", "dios="),
    ];
    let mut entries = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(device) = words.next().and_then(device) else { continue };
        let values: Vec<&str> = words.collect();
        let value = |key: &str| {
            values.iter().find_map(|word| word.strip_prefix(key)).and_then(|n| n.parse().ok())
        };
        for (operation, bytes, count) in OPERATIONS {
            if let Some((bytes, count)) = value(bytes).zip(value(count)) {
                let operation = operation.to_owned();
                entries.push(IoEntry { device, operation, bytes, count });
            }
        }
    }
    entries
}

fn device(text: &str) -> Option<BlockDevice> {
    let (major, minor) = text.split_once(':')?;
    Some(BlockDevice { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(minor: u32, operation: &str, bytes: u64, count: u64) -> IoEntry {
        let device = BlockDevice { major: 8, minor };
        IoEntry { device, operation: operation.into(), bytes, count }
    }

    #[test]
    fn both_versions_are_read() {
        let one = parse_v1("8:0 Read 10\n8:0 Write 20\nTotal 30\n", "8:0 Write 2\n8:0 Read 1\n");
        assert_eq!(one, [entry(0, "Read", 10, 1), entry(0, "Write", 20, 2)]);
        // A device that was only throttled has a line without numbers.
        let two = parse_v2("8:16 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n7:0 \n");
        let discarded = entry(16, "Discard", 0, 0);
        assert_eq!(two, [entry(16, "Read", 10, 1), entry(16, "Write", 20, 2), discarded]);
    }
}
