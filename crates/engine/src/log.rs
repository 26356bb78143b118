//! Reading a container's log, while it grows.

use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use sandbar_supervisor::{LogLine, StreamName};
use sandbar_sys::During;

use crate::error::Error;

/// A log being read. It can be removed meanwhile and is read to its end all the same.
#[derive(Debug)]
pub struct Log {
    file: BufReader<std::fs::File>,
    changes: OwnedFd,
    /// The beginning of a line whose end is not written yet.
    begun: Vec<u8>,
}

/// Something that a container printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogChunk {
    /// When, in RFC 3339 with nanoseconds.
    pub time: String,
    /// On which stream.
    pub stream: StreamName,
    /// What, with its line's end if that was printed.
    pub text: Vec<u8>,
}

impl Log {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = std::fs::File::open(path).during("open", || path.display().to_string())?;
        let changes = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .during("eventfd", String::new)?;
        Ok(Self { file: BufReader::new(file), changes, begun: Vec::new() })
    }

    /// Has the kernel tell of changes, for who did not start and watch the container. (That
    /// costs some 10 ms when the log is closed, so who does never needs it.)
    ///
    /// # Errors
    /// As inotify(7).
    pub fn follow(&mut self) -> Result<(), Error> {
        let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .during("inotify_init1", String::new)?;
        let path = format!("/proc/self/fd/{}", self.file.get_ref().as_raw_fd());
        inotify::add_watch(&changes, &path, WatchFlags::MODIFY)
            .during("inotify_add_watch", || "a log".into())?;
        self.changes = changes;
        Ok(())
    }

    /// What was printed next; `None` at the end, for now.
    ///
    /// # Errors
    /// As read(2).
    pub fn next_chunk(&mut self) -> Result<Option<LogChunk>, Error> {
        let mut told = true;
        loop {
            self.file.read_until(b'\n', &mut self.begun).during("read", || "a log".into())?;
            let Some(line) = self.begun.strip_suffix(b"\n") else {
                if !told {
                    return Ok(None);
                }
                // What is added from here on is told of anew; what was added just before is read now.
                self.forget_changes();
                told = false;
                continue;
            };
            let chunk = LogLine::parse(line).map(|line| LogChunk {
                time: line.time.to_owned(),
                stream: line.stream,
                text: [line.text, if line.full { b"\n" } else { b"" }].concat(),
            });
            self.begun.clear();
            // A line that a full disk cut short is not the container's.
            if chunk.is_some() {
                return Ok(chunk);
            }
        }
    }

    /// Reads away what told of changes that have been read.
    fn forget_changes(&self) {
        let mut buffer = [0_u8; 1024];
        while !matches!(rustix::io::read(&self.changes, &mut buffer), Ok(0) | Err(Errno::AGAIN)) {}
    }
}

impl AsFd for Log {
    /// Readable when something was added, after [`Log::follow`] or [`start_and_watch`](crate::Engine::start_and_watch).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.changes.as_fd()
    }
}
