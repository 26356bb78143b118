//! One direction of a connection: from a socket through a pipe to another, without a byte in this process.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with, splice};

/// How much is moved at once: what a pipe holds (pipe(7)).
const AT_ONCE: usize = 1 << 16;

/// How often something is moved in one turn: after it, it is another's.
const ROUNDS: u32 = 4;

/// How many empty pipes are kept for the next who needs one.
const SPARE: usize = 2;

/// A pipe, its reading end first.
type Pipe = (OwnedFd, OwnedFd);

/// Pipes that nothing is in. A direction has one only while something is on its way.
#[derive(Debug, Default)]
pub(super) struct Pipes(Vec<Pipe>);

impl Pipes {
    fn take(&mut self) -> Result<Pipe, Errno> {
        match self.0.pop() {
            Some(pipe) => Ok(pipe),
            None => pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK),
        }
    }

    fn give_back(&mut self, pipe: Pipe) {
        if self.0.len() < SPARE {
            self.0.push(pipe);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }
}

/// What is on its way in one direction.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The pipe, and how much is in it: never nothing.
    held: Option<(Pipe, usize)>,
    /// Whether its end has come, and was passed on.
    pub(super) has_ended: bool,
}

impl Flow {
    /// Whether it waits until more can be read. While something is in the pipe nothing is read: a pipe is full when it
    /// has as many pieces as it can, however small, which would look as if there was nothing to read.
    pub(super) fn wants_more(&self) -> bool {
        self.held.is_none() && !self.has_ended
    }

    /// Whether it waits until more can be written.
    pub(super) fn is_stuck(&self) -> bool {
        self.held.is_some()
    }

    /// Moves what can be moved now, up to a bound.
    ///
    /// # Errors
    /// What broke one of the sockets: the connection is over.
    pub(super) fn go_on(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        pipes: &mut Pipes,
    ) -> Result<(), Errno> {
        for _ in 0..ROUNDS {
            if self.wants_more() {
                self.read(from, to, pipes)?;
            }
            match self.write(to, pipes) {
                Err(Errno::AGAIN) => break,
                written => written?,
            }
            if self.has_ended {
                break;
            }
        }
        Ok(())
    }

    fn read(&mut self, from: &OwnedFd, to: &OwnedFd, pipes: &mut Pipes) -> Result<(), Errno> {
        let pipe = pipes.take()?;
        let read = moved(from, &pipe.1, AT_ONCE);
        match read {
            Ok(0) => {
                self.has_ended = true;
                shutdown(to, Shutdown::Write)?;
            }
            Ok(length) => {
                self.held = Some((pipe, length));
                return Ok(());
            }
            Err(Errno::AGAIN) => {}
            Err(errno) => return Err(errno),
        }
        pipes.give_back(pipe);
        Ok(())
    }

    /// `AGAIN` if nothing can be written, or there is nothing to write.
    fn write(&mut self, to: &OwnedFd, pipes: &mut Pipes) -> Result<(), Errno> {
        let Some(((read_end, _), length)) = &mut self.held else { return Err(Errno::AGAIN) };
        let written = moved(read_end, to, *length)?;
        *length = length.saturating_sub(written);
        if *length == 0
            && let Some((pipe, _)) = self.held.take()
        {
            pipes.give_back(pipe);
        }
        Ok(())
    }
}

fn moved(from: &OwnedFd, to: &OwnedFd, most: usize) -> Result<usize, Errno> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    rustix::io::retry_on_intr(|| splice(from, None, to, None, most, flags))
}
