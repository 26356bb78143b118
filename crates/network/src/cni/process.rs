//! A program that is run to its end, but neither for ever nor with an endless output.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::MemfdFlags,
    io::{Errno, ioctl_fionbio},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};

/// What a program may write to its standard output.
pub(super) const MOST_OUTPUT: usize = 1 << 20;
/// What is kept of its standard error; the rest is read, and forgotten.
const KEPT_ERRORS: usize = 1 << 14;

/// How a program ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// By itself.
    Exited { status: ExitStatus, stdout: Vec<u8>, stderr: Vec<u8> },
    /// It was killed, as it took too long.
    TimedOut,
    /// It was killed, as it wrote more than [`MOST_OUTPUT`].
    WroteTooMuch,
}

/// Runs `program` with `input`, in a process group of its own, with nothing of the caller's but three descriptors.
///
/// It has ended when its first process has: descendants that hold the output open are not waited for.
pub(super) fn run(
    program: &Path,
    environment: Vec<(&str, OsString)>,
    input: &[u8],
    timeout: Duration,
) -> io::Result<Ended> {
    // Descriptors that were handed to the caller may lack the flag, which all that Rust opens have.
    sandbar_sys::mark_close_on_exec_from(3)?;
    let deadline = Instant::now() + timeout;
    let child = Command::new(program)
        .env_clear()
        .envs(environment)
        .current_dir("/")
        .process_group(0)
        .stdin(file_of(input)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut running = Running { child, reaped: false };
    running.watch(deadline)
}

/// A file in memory, so that a program may read its input whenever it likes, or not at all.
fn file_of(input: &[u8]) -> io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("cni-configuration", MemfdFlags::CLOEXEC)?);
    file.write_all(input)?;
    file.rewind()?;
    Ok(file)
}

/// A program that is killed with its whole process group, unless it was seen to end.
struct Running {
    child: Child,
    reaped: bool,
}

impl Running {
    fn watch(&mut self, deadline: Instant) -> io::Result<Ended> {
        let mut stdout = Pipe::new(self.child.stdout.take(), MOST_OUTPUT)?;
        let mut stderr = Pipe::new(self.child.stderr.take(), KEPT_ERRORS)?;
        let pidfd = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Ended::TimedOut);
            }
            let mut watched = vec![PollFd::new(&pidfd, PollFlags::IN)];
            watched.extend(stdout.poll());
            watched.extend(stderr.poll());
            let timeout = Timespec::try_from(left).ok();
            match poll(&mut watched, timeout.as_ref()) {
                Err(Errno::INTR) => continue,
                answer => answer?,
            };
            // Looked at before the pipes are read: what it wrote before its end is then read below.
            let ended = !watched[0].revents().is_empty();
            let rounds = if ended { usize::MAX } else { 1 };
            stdout.read(rounds)?;
            stderr.read(rounds)?;
            if stdout.overflowed {
                return Ok(Ended::WroteTooMuch);
            }
            if ended {
                let status = self.child.wait()?;
                self.reaped = true;
                return Ok(Ended::Exited { status, stdout: stdout.bytes, stderr: stderr.bytes });
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            // Its id is the group's, and nobody else's until it is waited for.
            _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            _ = self.child.wait();
        }
    }
}

/// The reading end of a pipe.
struct Pipe<T> {
    /// `None` when the other ends are closed.
    end: Option<T>,
    bytes: Vec<u8>,
    most: usize,
    overflowed: bool,
}

impl<T: Read + AsFd> Pipe<T> {
    fn new(end: Option<T>, most: usize) -> io::Result<Self> {
        if let Some(end) = &end {
            ioctl_fionbio(end, true)?;
        }
        Ok(Self { end, bytes: Vec::new(), most, overflowed: false })
    }

    /// Reads what is there, in at most so many calls, and not much beyond what is kept.
    fn read(&mut self, rounds: usize) -> io::Result<()> {
        let mut buffer = [0; 1 << 14];
        // A pipe has 64 KiB, so this many calls get all that a process left in it.
        for _ in 0..rounds.min(2 * (MOST_OUTPUT / buffer.len())) {
            let Some(end) = &mut self.end else { return Ok(()) };
            match end.read(&mut buffer) {
                Ok(0) => self.end = None,
                Ok(length) => {
                    let kept = length.min(self.most - self.bytes.len());
                    self.bytes.extend_from_slice(&buffer[..kept]);
                    self.overflowed |= kept < length;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl<T: AsFd> Pipe<T> {
    fn poll(&self) -> Option<PollFd<'_>> {
        self.end.as_ref().map(|end| PollFd::new(end, PollFlags::IN))
    }
}
