//! The stretches of a file that are in a layer's stream, one after the other, and nothing but holes between them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// A file whose contents are read.
pub(super) struct Stretches {
    file: File,
    /// Those that come after this one: offset and length.
    rest: std::vec::IntoIter<(u64, u64)>,
    /// Where the next byte is, and how many of this stretch are left.
    at: u64,
    left: u64,
    size: u64,
}

impl Stretches {
    /// All of a file of this size.
    pub(super) fn whole(file: File, size: u64) -> Self {
        Self { file, rest: Vec::new().into_iter(), at: 0, left: size, size }
    }

    /// These of its stretches.
    pub(super) fn of(file: File, size: u64, map: Vec<(u64, u64)>) -> Self {
        Self { file, rest: map.into_iter(), at: 0, left: 0, size }
    }

    /// Reads some; nothing at the end of the last stretch, and then the file is known to have no other data.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            let next = self.rest.next();
            let (offset, length) = next.unwrap_or((self.size, 0));
            self.require_hole(offset)?;
            (self.at, self.left) = (offset, length);
            if next.is_none() {
                return Ok(0);
            }
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }

    /// Fails if there is anything but zeros up to `end`. Holes are not read for it.
    fn require_hole(&mut self, end: u64) -> io::Result<()> {
        let mut block = [0; 4096];
        while self.at < end {
            match rustix::fs::seek(&self.file, SeekFrom::Data(self.at)) {
                Ok(data) => self.at = data.min(end),
                // No data follow.
                Err(Errno::NXIO) => self.at = end,
                Err(errno) => return Err(errno.into()),
            }
            let most = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(block.len());
            let read = self.file.read_at(&mut block[..most], self.at)?;
            if block[..read].iter().any(|byte| *byte != 0) {
                let message = "there are data where a hole should be";
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
            if read == 0 {
                break;
            }
            self.at += read as u64;
        }
        Ok(())
    }
}
