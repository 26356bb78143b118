//! Cloning the child, in the right PID namespace and cgroup.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, WaitIdOptions, set_parent_process_death_signal};
use rustix::thread::{
    LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space, move_into_thread_name_spaces,
};
use sandbar_sys::{Child, CloneOptions, During, Failure, clone_child, default_signals};

use crate::container::Container;
use crate::error::Error;
use crate::handoff;
use crate::process::Process;
use crate::report::{Report, Reporter, Reports, channel};

/// The PID namespace that a process begins in.
#[derive(Debug, Clone, Copy)]
pub enum PidNamespace<'a> {
    /// The starter's own.
    Inherited,
    /// A new one, in which it is PID 1.
    New,
    /// A new one that the container's user namespace owns, in which it is PID 1: for a configuration with
    /// both.
    NewInUserNamespace,
    /// That of the process that a pidfd refers to.
    Of(BorrowedFd<'a>),
    /// The one that this file of `/proc/PID/ns`, or a mount of it, is.
    At(BorrowedFd<'a>),
}

/// Where a process begins.
#[derive(Debug)]
pub struct Placement<'a> {
    /// Its PID namespace.
    pub pid_namespace: PidNamespace<'a>,
    /// Its cgroup on v2: the directory.
    pub into_cgroup: Option<BorrowedFd<'a>>,
    /// Its cgroups on v1: their `tasks` files, writable.
    pub cgroup_tasks: Vec<BorrowedFd<'a>>,
}

/// A process that is being started.
#[derive(Debug)]
pub struct Starting {
    /// Its process id, as the starter's PID namespace numbers it. It may become another's in [`next_event`](Self::next_event).
    pub pid: Pid,
    /// Refers to it.
    pub pidfd: OwnedFd,
    reports: Reports,
}

/// What happens to a process that is being started.
#[derive(Debug)]
pub enum Event {
    /// A fallback was taken, in words.
    Told(String),
    /// It has a terminal, and this is the other end.
    Terminal(OwnedFd),
    /// Its namespaces and its root are made, and it waits for [`Starting::proceed`]; only with a
    /// [`Gate`](crate::Gate).
    Prepared,
    /// All is done but its program, for which it waits; only with a [`Gate`](crate::Gate).
    Created,
    /// It executes its program (or was killed on the way: its end tells).
    Running,
    /// It could not be started, and is ending.
    Failed(Error),
}

/// Starts a container's first process. The child calls `prepare` for what it is to become: so what that
/// allocates is never part of the caller's memory.
///
/// # Errors
/// Only what fails before the child exists; the rest is an [`Event`].
pub fn start(
    placement: &Placement<'_>,
    prepare: impl FnOnce() -> Result<Container, Error>,
) -> Result<Starting, Error> {
    spawn(placement, |reporter, handoff| prepare()?.become_it(reporter, handoff))
}

/// Starts a further process in the container whose first process `container` (a pidfd) refers to, in its
/// namespaces and the given cgroup (see [`Placement`]).
///
/// The process that is returned is not the one that executes, but enters the namespaces for that one: which it is
/// is known at [`Event::Running`].
///
/// # Errors
/// Only what fails before the child exists; the rest is an [`Event`].
pub fn start_in(
    container: BorrowedFd<'_>,
    into_cgroup: Option<BorrowedFd<'_>>,
    cgroup_tasks: Vec<BorrowedFd<'_>>,
    prepare: impl FnOnce() -> Result<Process, Error>,
) -> Result<Starting, Error> {
    let pid_namespace = PidNamespace::Inherited;
    let placement = Placement { pid_namespace, into_cgroup, cgroup_tasks };
    spawn(&placement, |reporter, _| prepare()?.become_it_in(container, reporter))
}

impl Starting {
    /// The next event; blocks unless [`as_fd`](AsFd::as_fd) was made non-blocking.
    ///
    /// # Errors
    /// As recvmsg(2), `EAGAIN` among them.
    pub fn next_event(&mut self) -> Result<Event, Failure> {
        loop {
            return Ok(match self.reports.next()? {
                None => Event::Running,
                Some(Report::Told(text)) => Event::Told(text),
                Some(Report::Terminal(terminal)) => Event::Terminal(terminal),
                Some(Report::Prepared) => Event::Prepared,
                Some(Report::Created) => Event::Created,
                Some(Report::HandedOver(pid, pidfd)) => {
                    // One that is not at its end yet is collected with the starter's other children.
                    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
                    let _later = handoff::collect(self.pidfd.as_fd(), options);
                    (self.pid, self.pidfd) = (pid, pidfd);
                    continue;
                }
                Some(Report::Failed(error)) => Event::Failed(error),
            });
        }
    }

    /// Lets a process go on that has reported [`Event::Prepared`]. The container's state (JSON) is for its hooks:
    /// `creating` for those that are run now, `created` for those that are run when it starts.
    ///
    /// # Errors
    /// As send(2); `EMSGSIZE` for a state of more than [`LONGEST_STATE`](crate::LONGEST_STATE).
    pub fn proceed(&self, creating: &str, created: &str) -> Result<(), Failure> {
        self.reports.answer(&format!("{creating}\0{created}"))
    }
}

impl AsFd for Starting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reports.as_fd()
    }
}

/// Clones a child that runs `body`, which returns only if it fails.
fn spawn(
    placement: &Placement<'_>,
    body: impl FnOnce(&Reporter, Option<&Reporter>) -> Result<Infallible, Error>,
) -> Result<Starting, Error> {
    let (reports, reporter) = channel()?;
    let handoff = match placement.pid_namespace {
        PidNamespace::NewInUserNamespace => Some(channel()?),
        _ => None,
    };
    let own = match placement.pid_namespace {
        PidNamespace::Of(pidfd) => Some(enter_for_children(|| {
            move_into_thread_name_spaces(pidfd, ThreadNameSpaceType::PROCESS_ID)
        })?),
        PidNamespace::At(file) => Some(enter_for_children(|| {
            move_into_link_name_space(file, Some(LinkNameSpaceType::ProcessID))
        })?),
        _ => None,
    };
    let options = CloneOptions {
        new_pid_namespace: matches!(placement.pid_namespace, PidNamespace::New),
        into_cgroup: placement.into_cgroup,
        ..CloneOptions::default()
    };
    let cloned = clone_child(options, || {
        // The parent's handlers and mask mean nothing here, and SIGPIPE is the program's to choose.
        default_signals();
        let failed = enter_cgroups(&placement.cgroup_tasks).and_then(|()| {
            // Until it executes it is nobody's but its starter's: it does not outlive that half made.
            set_parent_process_death_signal(Some(Signal::KILL))
                .during("prctl", || "PR_SET_PDEATHSIG SIGKILL".into())?;
            rustix::process::setsid().during("setsid", String::new)?;
            body(&reporter, handoff.as_ref().map(|(_, child)| child))
        });
        let error = match failed {
            Ok(never) => match never {},
            Err(error) => error,
        };
        reporter.failed(&error);
        error.exit_status()
    });
    if let Some(own) = own {
        leave_for_children(own.as_fd())?;
    }
    let Child { pid, pidfd } = cloned.during("clone3", || format!("{options:?}"))?;
    if let Some((ours, childs)) = handoff {
        drop(childs);
        if let Some((pid, pidfd)) = handoff::receive(&ours, &pidfd)? {
            return Ok(Starting { pid, pidfd, reports });
        }
    }
    Ok(Starting { pid, pidfd, reports })
}

/// Moves this single-threaded process into each v1 cgroup. A "0" written to `tasks` moves the writer without
/// the lock that stops every fork of the machine for a grace period of RCU, as a number written to
/// `cgroup.procs` does (measured: 0.02 ms instead of 8 to 20).
fn enter_cgroups(tasks: &[BorrowedFd<'_>]) -> Result<(), Error> {
    for file in tasks {
        rustix::io::write(file, b"0").during("write", || "0 to a cgroup's tasks".into())?;
    }
    Ok(())
}

/// Lets the next children begin in the PID namespace that `enter` names; returns the caller's own, for the way
/// back.
fn enter_for_children(enter: impl FnOnce() -> rustix::io::Result<()>) -> Result<OwnedFd, Failure> {
    let own = "/proc/self/ns/pid";
    let own = rustix::fs::open(own, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .during("open", || own.into())?;
    enter().during("setns", || "to the container's PID namespace".into())?;
    Ok(own)
}

/// Lets the next children begin in the caller's own PID namespace again.
fn leave_for_children(own: BorrowedFd<'_>) -> Result<(), Failure> {
    move_into_link_name_space(own, Some(LinkNameSpaceType::ProcessID))
        .during("setns", || "back to the own PID namespace".into())
}
