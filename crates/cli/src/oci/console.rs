//! Terminals on their way to whoever shows them.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use rustix::stdio::{stdin, stdout};
use rustix::termios::isatty;

use crate::failure::{Doing, Result};
use crate::flow::{AtEnd, Flow};
use crate::stdio;
use crate::terminal::RawMode;

/// Sends a terminal's other end to the Unix socket `path`, with a name, as runc does.
pub(super) fn send(path: &Path, terminal: BorrowedFd<'_>) -> Result<()> {
    let action = || format!("send the terminal to {}", path.display());
    let socket = UnixStream::connect(path).doing(action())?;
    let fds = [terminal];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let name = IoSlice::new(b"/dev/ptmx");
    rustix::net::sendmsg(&socket, &[name], &mut control, SendFlags::NOSIGNAL).doing(action())?;
    Ok(())
}

/// What has to be passed on between the caller's terminal and a process's, and the caller's raw mode meanwhile.
pub(super) fn flows(terminal: BorrowedFd<'_>) -> Result<(Vec<Flow>, Option<RawMode>)> {
    let own = || terminal.as_fd().try_clone_to_owned().doing("use the terminal");
    let at_end = if isatty(stdin()) { AtEnd::Close } else { AtEnd::ControlD };
    let flows = vec![
        Flow::output(own()?, stdio::own(stdout())?)?,
        Flow::input(stdio::own(stdin())?, own()?, at_end)?,
    ];
    let raw = if isatty(stdout()) { RawMode::enter()? } else { None };
    Ok((flows, raw))
}
