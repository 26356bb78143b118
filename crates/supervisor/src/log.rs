//! Container logs in the format of the CRI: `TIME STREAM TAG TEXT`, one line each.
//!
//! `TIME` is RFC 3339 with nanoseconds, `STREAM` is `stdout` or `stderr`, `TAG` is `F` for a full line or `P`
//! for a part of one, so that what was printed can be told exactly.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{Mode, OFlags};
use sandbar_sys::During;

use crate::Error;

/// A container's output stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamName {
    /// Standard output, or a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl StreamName {
    /// Its name in a log and of its FIFO.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A log that is written.
#[derive(Debug)]
pub(crate) struct Log {
    file: std::fs::File,
    /// Reused from write to write.
    batch: Vec<u8>,
    prefix: String,
}

impl Log {
    /// Opens the log at `path`, at its end.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))
            .during("open", || path.display().to_string())?;
        Ok(Self { file: file.into(), batch: Vec::new(), prefix: String::new() })
    }

    /// Adds what a container printed: all its lines in one write.
    pub(crate) fn add(&mut self, stream: StreamName, printed: &[u8]) {
        self.prefix.clear();
        let now = Timestamp::now();
        // A string takes all that is written to it.
        let _written = write!(self.prefix, "{now:.9} {} ", stream.as_str());
        self.batch.clear();
        for line in printed.split_inclusive(|&byte| byte == b'\n') {
            self.batch.extend_from_slice(self.prefix.as_bytes());
            let (tag, text) = match line.strip_suffix(b"\n") {
                Some(text) => (b"F ", text),
                None => (b"P ", line),
            };
            self.batch.extend_from_slice(tag);
            self.batch.extend_from_slice(text);
            self.batch.push(b'\n');
        }
        // A full disk loses the lines, not the container.
        let _written = self.file.write_all(&self.batch);
    }

    /// Gives back what a burst of output needed.
    pub(crate) fn shrink(&mut self) {
        self.batch = Vec::new();
    }
}

/// One line of a log, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// When it was printed, as the log has it.
    pub time: &'a str,
    /// The stream.
    pub stream: StreamName,
    /// Whether the printed line ends here.
    pub full: bool,
    /// What was printed, without the line's end.
    pub text: &'a [u8],
}

impl<'a> LogLine<'a> {
    /// Reads a line of a log, without its line end; `None` if it is none.
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(4, |&byte| byte == b' ');
        let time = str::from_utf8(parts.next()?).ok()?;
        let stream = match parts.next()? {
            b"stdout" => StreamName::Stdout,
            b"stderr" => StreamName::Stderr,
            _ => return None,
        };
        let full = match parts.next()? {
            b"F" => true,
            b"P" => false,
            _ => return None,
        };
        Some(Self { time, stream, full, text: parts.next()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_printed_can_be_told_exactly() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let mut log = Log::open(&path).unwrap();
        log.add(StreamName::Stdout, b"one\ntwo");
        log.add(StreamName::Stderr, b" \xff \n");
        log.add(StreamName::Stdout, b" and a half\n\n");
        let text = std::fs::read(&path).unwrap();
        let mut out = Vec::new();
        let mut err = Vec::new();
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let line = LogLine::parse(line).unwrap();
            assert!(line.time.parse::<Timestamp>().is_ok(), "{}", line.time);
            assert_eq!(line.time.len(), "2026-01-02T03:04:05.123456789Z".len());
            let to = if line.stream == StreamName::Stdout { &mut out } else { &mut err };
            to.extend_from_slice(line.text);
            if line.full {
                to.push(b'\n');
            }
        }
        assert_eq!(out, b"one\ntwo and a half\n\n");
        assert_eq!(err, b" \xff \n");
    }
}
