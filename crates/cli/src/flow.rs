//! Bytes on their way from one descriptor to another, so that neither end is ever waited for.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::failure::{Doing, Failure, Result};

/// How much is read at once.
const MOST: usize = 16 << 10;
/// What Control-D sends: to a terminal, the end of the input.
const END_OF_TRANSMISSION: u8 = 4;

/// What is done when there is no more to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// The other end is closed.
    Close,
    /// A terminal is told as a person would: Control-D.
    ControlD,
}

/// Where bytes go from a container's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the caller to the process.
    Input,
    /// From the process to the caller.
    Output,
}

/// A stream of bytes that is passed on.
#[derive(Debug)]
pub(crate) struct Flow {
    direction: Direction,
    from: Option<OwnedFd>,
    to: Option<OwnedFd>,
    pending: Vec<u8>,
    at_end: AtEnd,
}

impl Flow {
    /// Passes the caller's `from` on to the process's `to`.
    pub(crate) fn input(from: OwnedFd, to: OwnedFd, at_end: AtEnd) -> Result<Self> {
        never_wait(&to)?;
        let direction = Direction::Input;
        Ok(Self { direction, from: Some(from), to: Some(to), pending: Vec::new(), at_end })
    }

    /// Passes the process's `from` on to the caller's `to`.
    pub(crate) fn output(from: OwnedFd, to: OwnedFd) -> Result<Self> {
        never_wait(&from)?;
        let (direction, at_end) = (Direction::Output, AtEnd::Close);
        Ok(Self { direction, from: Some(from), to: Some(to), pending: Vec::new(), at_end })
    }

    /// What to wait for before [`Flow::advance`]; `None` when it has ended.
    pub(crate) fn interest(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match (&self.from, &self.to) {
            (_, Some(to)) if !self.pending.is_empty() => Some((to.as_fd(), PollFlags::OUT)),
            (Some(from), Some(_)) => Some((from.as_fd(), PollFlags::IN)),
            _ => None,
        }
    }

    /// Moves what can be moved at once; the descriptor of [`Flow::interest`] is ready.
    pub(crate) fn advance(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            self.read();
        }
        self.write()
    }

    /// Passes on what the process has written before it ended, waiting for the caller's side alone.
    pub(crate) fn drain(&mut self) -> Result<()> {
        if self.direction == Direction::Input {
            return Ok(());
        }
        loop {
            while !self.pending.is_empty() && self.to.is_some() {
                self.write()?;
            }
            self.read();
            if self.pending.is_empty() {
                return Ok(());
            }
        }
    }

    fn read(&mut self) {
        let Some(from) = &self.from else { return };
        let mut buffer = vec![0; MOST];
        match rustix::io::read(from, &mut buffer) {
            Ok(count @ 1..) => {
                buffer.truncate(count);
                self.pending = buffer;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            // A terminal whose last program has ended says EIO.
            Ok(_) | Err(_) => {
                self.from = None;
                match self.at_end {
                    AtEnd::Close => self.to = None,
                    AtEnd::ControlD => self.pending.push(END_OF_TRANSMISSION),
                }
            }
        }
    }

    fn write(&mut self) -> Result<()> {
        let Some(to) = &self.to else { return Ok(()) };
        if self.pending.is_empty() {
            return Ok(());
        }
        match rustix::io::write(to, &self.pending) {
            Ok(count) => drop(self.pending.drain(..count)),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => {
                self.from = None;
                self.to = None;
                self.pending.clear();
                // A process that no longer reads its input is no failure of ours.
                if self.direction == Direction::Output {
                    return Err(Failure::of_output(errno.into()));
                }
            }
        }
        Ok(())
    }
}

/// Makes a descriptor of the process's side return at once.
fn never_wait(fd: &OwnedFd) -> Result<()> {
    let flags = rustix::fs::fcntl_getfl(fd).doing("look at a stream")?;
    rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK).doing("change a stream")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn input_ends_where_it_ends() {
        let (from, mut typed) = std::io::pipe().unwrap();
        let (mut seen, to) = std::io::pipe().unwrap();
        let mut flow = Flow::input(from.into(), to.into(), AtEnd::Close).unwrap();
        typed.write_all(b"hello").unwrap();
        flow.advance().unwrap();
        drop(typed);
        flow.advance().unwrap();
        assert!(flow.interest().is_none());
        let mut text = String::new();
        seen.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }

    #[test]
    fn a_terminal_is_told_of_the_end() {
        let (from, typed) = std::io::pipe().unwrap();
        let (mut seen, to) = std::io::pipe().unwrap();
        let mut flow = Flow::input(from.into(), to.into(), AtEnd::ControlD).unwrap();
        drop(typed);
        flow.advance().unwrap();
        assert!(flow.interest().is_none());
        drop(flow);
        let mut text = Vec::new();
        seen.read_to_end(&mut text).unwrap();
        assert_eq!(text, [END_OF_TRANSMISSION]);
    }

    #[test]
    fn a_slow_reader_is_not_waited_for() {
        let (from, mut typed) = std::io::pipe().unwrap();
        let (_seen, to) = std::io::pipe().unwrap();
        let mut flow = Flow::input(from.into(), to.into(), AtEnd::Close).unwrap();
        for _ in 0..8 {
            typed.write_all(&[b'x'; MOST]).unwrap();
            flow.advance().unwrap();
            if flow.interest().is_some_and(|(_, flags)| flags == PollFlags::OUT) {
                return;
            }
        }
        panic!("a pipe of 64 KiB took 128 KiB");
    }

    #[test]
    fn output_is_drained_without_waiting_for_who_holds_it_open() {
        let (from, mut process) = std::io::pipe().unwrap();
        let (mut seen, to) = std::io::pipe().unwrap();
        let mut flow = Flow::output(from.into(), to.into()).unwrap();
        process.write_all(b"last words").unwrap();
        flow.drain().unwrap();
        drop(flow);
        let mut text = String::new();
        seen.read_to_string(&mut text).unwrap();
        assert_eq!(text, "last words");
        drop(process);
    }
}
