//! Where a tar reader's bytes come from: a stream that must be read through, or a file that can be skipped in.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::compression::BUFFER;

/// Buffered bytes, some of which may be skipped.
pub(crate) trait Source: BufRead {
    /// Skips `bytes`; fails with `UnexpectedEof` when there are fewer.
    fn skip(&mut self, bytes: u64) -> io::Result<()>;
}

/// Skips by reading, as what goes through must be hashed.
pub(crate) fn read_past(input: &mut impl BufRead, mut bytes: u64) -> io::Result<()> {
    while bytes > 0 {
        let here = input.fill_buf()?.len();
        if here == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let step = usize::try_from(bytes).unwrap_or(usize::MAX).min(here);
        input.consume(step);
        bytes -= step as u64;
    }
    Ok(())
}

/// A stream: what is skipped is read all the same.
pub(crate) type Streaming<R> = BufReader<R>;

impl<R: Read> Source for Streaming<R> {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        read_past(self, bytes)
    }
}

/// A stretch of an open file, read by position: many can be read at once.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    file: Arc<File>,
    start: u64,
    at: u64,
    end: u64,
}

impl Section {
    pub(crate) fn new(file: Arc<File>, start: u64, size: u64) -> Self {
        Self { file, start, at: start, end: start.saturating_add(size) }
    }

    pub(crate) fn size(&self) -> u64 {
        self.end - self.start
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = left.min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        if read == 0 {
            // The section was there when it was found: the file has been cut since.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Section {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => self.start.checked_add(offset),
            SeekFrom::End(offset) => self.end.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        match target {
            Some(target) if target >= self.start && target <= self.end => {
                self.at = target;
                Ok(target - self.start)
            }
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A section of a file: what is skipped is never read.
pub(crate) struct Seeking(BufReader<Section>);

impl Seeking {
    pub(crate) fn new(section: Section) -> Self {
        // Little more than headers is read through this one.
        Self(BufReader::with_capacity(BUFFER / 64, section))
    }
}

impl Read for Seeking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl BufRead for Seeking {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.0.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.0.consume(bytes);
    }
}

impl Source for Seeking {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let bytes =
            i64::try_from(bytes).map_err(|e| io::Error::new(io::ErrorKind::UnexpectedEof, e))?;
        self.0.seek_relative(bytes)
    }
}
