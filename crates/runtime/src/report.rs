//! What a starting child tells its starter: one packet a message, over a socket that its execution closes.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::Pid;
use sandbar_sys::{Child, During, Failure};

use crate::error::{Error, Kind};

/// The longest message; a longer text is cut.
const LONGEST: usize = 4096;

/// The longest answer, which has the container's annotations in it. A longer one is refused.
const LONGEST_ANSWER: usize = 2 * crate::gate::LONGEST_STATE + 1;

/// The child's end.
pub(crate) struct Reporter(OwnedFd);

/// The starter's end.
#[derive(Debug)]
pub(crate) struct Reports(OwnedFd);

/// A message from the child.
pub(crate) enum Report {
    /// A fallback was taken.
    Told(String),
    /// The terminal's other end.
    Terminal(OwnedFd),
    /// Its namespaces and root are made; it waits for an answer.
    Prepared,
    /// All is done but its program.
    Created,
    /// Another process does the rest: its number, and what refers to it.
    HandedOver(Pid, OwnedFd),
    /// It failed, and is ending.
    Failed(Error),
}

/// A pair of ends.
pub(crate) fn channel() -> Result<(Reports, Reporter), Failure> {
    let (starter, child) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .during("socketpair", || "AF_UNIX SOCK_SEQPACKET".into())?;
    Ok((Reports(starter), Reporter(child)))
}

impl Reporter {
    /// Another descriptor of the same end, for another thread.
    pub(crate) fn try_clone(&self) -> Result<Self, Failure> {
        self.0.try_clone().map(Self).during("fcntl", || "F_DUPFD_CLOEXEC".into())
    }

    /// Tells of a fallback.
    pub(crate) fn tell(&self, text: &str) {
        self.send(b't', text, None);
    }

    /// Hands the terminal over.
    pub(crate) fn terminal(&self, terminal: BorrowedFd<'_>) {
        self.send(b'm', "", Some(terminal));
    }

    /// Says that namespaces and root are made.
    pub(crate) fn prepared(&self) {
        self.send(b'p', "", None);
    }

    /// Says that all is done but the program.
    pub(crate) fn created(&self) {
        self.send(b'c', "", None);
    }

    /// Says which process does the rest.
    pub(crate) fn handed_over(&self, to: &Child) -> Result<(), Failure> {
        let number = to.pid.as_raw_nonzero().to_string();
        let sent = if self.send(b'h', &number, Some(to.pidfd.as_fd())) {
            Ok(())
        } else {
            Err(Errno::PIPE)
        };
        sent.during("sendmsg", || "the process that does the rest".into())
    }

    /// What the starter answers; empty if it is gone.
    pub(crate) fn told(&self) -> Result<String, Failure> {
        let mut text = vec![0; LONGEST_ANSWER];
        let length = rustix::io::retry_on_intr(|| rustix::io::read(&self.0, text.as_mut_slice()))
            .during("read", || "of the starter".into())?;
        text.truncate(length);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Says why the start failed: on standard error if the starter is gone.
    pub(crate) fn failed(&self, error: &Error) {
        let line = error.one_line();
        if !self.send(error.kind().letter().to_ascii_uppercase(), &line, None) {
            let _unheard =
                rustix::io::write(rustix::stdio::stderr(), format!("{line}\n").as_bytes());
        }
    }

    /// A starter that has gone away is nobody to tell: the container starts all the same.
    fn send(&self, tag: u8, text: &str, fd: Option<BorrowedFd<'_>>) -> bool {
        let text = text.as_bytes();
        let text = text.get(..LONGEST - 1).unwrap_or(text);
        let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&fds));
        }
        let tag = [tag];
        let parts = [IoSlice::new(&tag), IoSlice::new(text)];
        rustix::net::sendmsg(&self.0, &parts, &mut control, SendFlags::NOSIGNAL).is_ok()
    }
}

impl Reports {
    /// Answers a child that waits.
    pub(crate) fn answer(&self, text: &str) -> Result<(), Failure> {
        let sent = if text.len() > LONGEST_ANSWER {
            Err(Errno::MSGSIZE)
        } else {
            rustix::net::send(&self.0, text.as_bytes(), SendFlags::NOSIGNAL).map(drop)
        };
        sent.during("send", || format!("{} bytes to a starting child", text.len()))
    }

    /// The next message, `None` at the end. Blocks unless the socket was made non-blocking.
    pub(crate) fn next(&self) -> Result<Option<Report>, Failure> {
        let mut buffer = [0_u8; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            rustix::net::recvmsg(
                &self.0,
                &mut [IoSliceMut::new(&mut buffer)],
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
        });
        let received = received.during("recvmsg", || "of a starting child".into())?;
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let Some((tag, text)) = buffer.get(..received.bytes).and_then(<[u8]>::split_first) else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(text).into_owned();
        Ok(Some(match (tag, fd) {
            (b't', _) => Report::Told(text),
            (b'm', Some(terminal)) => Report::Terminal(terminal),
            (b'p', _) => Report::Prepared,
            (b'c', _) => Report::Created,
            (b'h', Some(process)) => match text.parse().ok().and_then(Pid::from_raw) {
                Some(pid) => Report::HandedOver(pid, process),
                None => Report::Failed(Error::new(Kind::System, format!("no process id: {text}"))),
            },
            (tag, _) => {
                Report::Failed(Error::new(Kind::from_letter(tag.to_ascii_lowercase()), text))
            }
        }))
    }
}

impl AsFd for Reporter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for Reports {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
