//! The archive that a kernel unpacks as its first filesystem: cpio's "newc" format
//! (Linux's `Documentation/driver-api/early-userspace/buffer-format.rst`).

use anyhow::{Context, Result};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// An archive in the making. All in it is root's.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    pub(crate) fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY, 0);
    }

    /// Adds a file that can be executed. Its directory has to be there.
    pub(crate) fn file(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let length = u32::try_from(content.len()).with_context(|| format!("{name} is too long"))?;
        self.entry(name, PROGRAM, length);
        self.bytes.extend_from_slice(content);
        self.align();
        Ok(())
    }

    /// The whole of it.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, 0);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, length: u32) {
        self.entries += 1;
        let name_length = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        let (inode, links) = (self.entries, 1);
        let fields = [inode, mode, 0, 0, links, 0, length, 0, 0, 0, 0, name_length, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.align();
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_header_a_name_and_content_each_padded_to_four_bytes() {
        let mut archive = Archive::default();
        archive.directory("bin");
        archive.file("bin/x", b"hello").unwrap();
        let bytes = archive.finish();
        let header = "07070100000001000041ED0000000000000000000000010000000000000000\
                      00000000000000000000000000000000000000040000000";
        assert!(bytes.starts_with(header.as_bytes()), "{}", String::from_utf8_lossy(&bytes));
        assert_eq!(&bytes[110..114], b"bin\0");
        assert_eq!(&bytes[116..122], b"070701");
        assert_eq!(&bytes[116 + 54..116 + 62], b"00000005");
        assert_eq!(&bytes[116 + 110..116 + 116 + 8], b"bin/x\0hello\0\0\0");
        assert_eq!(bytes.len(), 116 + 124 + 124);
    }
}
