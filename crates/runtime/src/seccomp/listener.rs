//! A filter with a listener: what it answers with "notify" is answered by an agent (`seccomp_unotify(2)`).
//!
//! The agent listens on a socket of the host's. It is sent the state of the process as JSON, with the
//! listener's descriptor (runtime-spec, "The Container Process State" of config-linux.md).
//!
//! A process that is under such a filter may have to wait for the agent at any system call, so it can't be
//! the one that hands the descriptor over. A thread does that which was there before the filter: it is not
//! under it. It ends with the execution at the latest.

use std::io::{IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use oci_spec::runtime::{ContainerProcessState, LinuxSeccomp, SECCOMP_FD_NAME, State};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};
use sandbar_sys::{
    During, Failure, SeccompFlags, SeccompInstruction, load_seccomp_filter_with_listener,
};

use crate::error::{Error, Kind, Step};
use crate::report::Reporter;

/// How long an agent is waited for that does not take what it is sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// The thread's stack: less than a small limit of the process's address space.
const STACK: usize = 128 << 10;

/// An agent that is connected to, and what it is to be told.
pub(super) struct Listener {
    agent: OwnedFd,
    state: State,
    metadata: Option<String>,
    /// What the agent is sent.
    message: Vec<u8>,
}

/// Between the thread that loads the filter and the one that hands the descriptor over.
#[derive(Default)]
struct Handover {
    /// The listener, or `None` when there will be none.
    listener: OnceLock<Option<OwnedFd>>,
    done: AtomicBool,
}

impl Listener {
    /// Connects to the agent of `profile`; to be called while the host's files are in reach.
    pub(super) fn connect(profile: &LinuxSeccomp, state: Option<&State>) -> Result<Self, Error> {
        let field = "linux.seccomp.listenerPath";
        let Some(path) = profile.listener_path() else {
            return Err(Error::new(Kind::InvalidSpec, format!("{field}: it is needed")));
        };
        let Some(state) = state else {
            let message = format!("{field}: the state of the container to send is not known");
            return Err(Error::new(Kind::Unsupported, message));
        };
        let pid = own_pid().step(|| "find out the own process id".into())?;
        let metadata = profile.listener_metadata().clone();
        let message = message(state, metadata.clone(), pid)?;
        let agent =
            connect(path).step(|| format!("{field} {}: reach the agent", path.display()))?;
        Ok(Self { agent, state: state.clone(), metadata, message })
    }

    /// The socket of the agent.
    pub(super) fn agent(&self) -> BorrowedFd<'_> {
        self.agent.as_fd()
    }

    /// Tells the agent of the process `pid` and not of the one that connected to it.
    pub(super) fn is_of(&mut self, pid: i32) -> Result<(), Error> {
        self.message = message(&self.state, self.metadata.clone(), pid)?;
        Ok(())
    }

    /// Puts this thread under `program`, and hands the listener over.
    pub(super) fn load(
        &self,
        program: &[SeccompInstruction],
        flags: SeccompFlags,
        reporter: &Reporter,
    ) -> Result<(), Error> {
        let step = || "load the seccomp filter".to_owned();
        let agent = self.agent.try_clone().during("fcntl", || "F_DUPFD_CLOEXEC".into());
        let mut sender = Sender {
            agent: UnixStream::from(agent.step(step)?),
            message: self.message.clone(),
            reporter: reporter.try_clone()?,
        };
        let handover = Arc::new(Handover::default());
        let other_end = Arc::clone(&handover);
        // Not joined: that would be a system call. It ends by itself, or with the execution.
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || sender.run(&other_end))
            .during("clone", || "a thread that hands the listener over".into())
            .step(step)?;
        let loaded = load_seccomp_filter_with_listener(program, flags);
        // No system call from here until the descriptor is with the agent: nobody could answer it.
        match loaded {
            Ok(listener) => {
                let _first = handover.listener.set(Some(listener));
                while !handover.done.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
                // Nor is it closed here, for that is a call as well: the execution closes it.
                std::mem::forget(handover);
                Ok(())
            }
            Err(errno) => {
                let _first = handover.listener.set(None);
                let words = || format!("{} instructions with a listener, {flags:?}", program.len());
                Err(errno).during("seccomp", words).step(step)
            }
        }
    }
}

/// What the thread has that hands the listener over.
struct Sender {
    agent: UnixStream,
    message: Vec<u8>,
    reporter: Reporter,
}

impl Sender {
    fn run(&mut self, handover: &Handover) {
        let listener = loop {
            match handover.listener.get() {
                Some(Some(listener)) => break listener,
                Some(None) => return,
                None => std::thread::sleep(Duration::from_micros(50)),
            }
        };
        let sent = self.send(listener).step(|| "hand the seccomp listener to its agent".into());
        if let Err(error) = sent {
            // The other thread may not be able to say so any more: it is under the filter.
            self.reporter.failed(&error);
            std::process::exit(1);
        }
        handover.done.store(true, Ordering::Release);
    }

    fn send(&mut self, listener: &OwnedFd) -> Result<(), Failure> {
        let fds = [listener.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&fds));
        let message = [IoSlice::new(&self.message)];
        let sent = rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(&self.agent, &message, &mut control, SendFlags::NOSIGNAL)
        });
        let sent = sent.during("sendmsg", || "the listener".into())?;
        let rest = self.message.get(sent..).unwrap_or_default();
        self.agent.write_all(rest).during("write", || "the container process state".into())
    }
}

fn connect(path: &Path) -> Result<OwnedFd, Failure> {
    let agent = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .during("socket", || "AF_UNIX SOCK_STREAM".into())?;
    set_socket_timeout(&agent, Timeout::Send, Some(PATIENCE))
        .during("setsockopt", || "SO_SNDTIMEO".into())?;
    let address = SocketAddrUnix::new(path);
    address
        .and_then(|address| rustix::net::connect(&agent, &address))
        .during("connect", || path.display().to_string())?;
    Ok(agent)
}

/// The state of the container process `pid`. A state without a process is of a container whose first process this is.
fn message(state: &State, metadata: Option<String>, pid: i32) -> Result<Vec<u8>, Error> {
    let mut state = state.clone();
    let first = state.pid().unwrap_or(pid);
    state.set_pid(Some(first));
    let mut process = ContainerProcessState::default();
    process
        .set_version(state.version().clone())
        .set_fds(vec![SECCOMP_FD_NAME.to_owned()])
        .set_pid(pid)
        .set_metadata(metadata)
        .set_state(state);
    serde_json::to_vec(&process)
        .map_err(|error| Error::new(Kind::InvalidSpec, format!("the container's state: {error}")))
}

/// This process's id as the runtime sees it, which in a new PID namespace is not what `getpid` says.
fn own_pid() -> Result<i32, Failure> {
    let path = "/proc/self";
    let target = rustix::fs::readlink(path, Vec::new()).during("readlink", || path.into())?;
    let pid = target.to_str().ok().and_then(|text| text.parse().ok());
    pid.ok_or(rustix::io::Errno::SRCH).during("readlink", || format!("{path}: {target:?}"))
}
