//! Handing a start over to a process in a PID namespace that a user namespace owns. A PID namespace is
//! entered by birth, and the process that makes it must be in the user namespace already: so there are two
//! births, and the second process is made the starter's child in the first one's place (`CLONE_PARENT`).

use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, set_parent_process_death_signal};
use sandbar_sys::{Child, CloneOptions, During, clone_child};

use crate::error::Error;
use crate::report::{Report, Reporter, Reports};
use crate::user_namespace;

/// Another process does the rest; this one ends.
pub(crate) struct HandedOver;

/// Clones a process beside this one, which runs `rest`, and tells the starter of it.
pub(crate) fn hand_over(
    handoff: &Reporter,
    reporter: &Reporter,
    rest: impl FnOnce() -> Result<HandedOver, Error>,
) -> Result<HandedOver, Error> {
    let options = CloneOptions { beside: true, ..CloneOptions::default() };
    let child = clone_child(options, || {
        let done = set_parent_process_death_signal(Some(Signal::KILL))
            .during("prctl", || "PR_SET_PDEATHSIG SIGKILL".into())
            .and_then(|()| rustix::process::setsid().during("setsid", String::new))
            .map_err(Error::from)
            .and_then(|_session| rest());
        match done {
            Ok(HandedOver) => 0,
            Err(error) => {
                reporter.failed(&error);
                error.exit_status()
            }
        }
    });
    let Child { pidfd, .. } = child.during("clone3", || "CLONE_PARENT".into())?;
    handoff.terminal(pidfd.as_fd());
    Ok(HandedOver)
}

/// The process that the start was handed over to, and its number; the first one is collected. `None` if that
/// one failed before.
pub(crate) fn receive(handoff: &Reports, first: &OwnedFd) -> Result<Option<(Pid, OwnedFd)>, Error> {
    let Some(Report::Terminal(pidfd)) = handoff.next()? else { return Ok(None) };
    rustix::io::retry_on_intr(|| {
        rustix::process::waitid(WaitId::PidFd(first.as_fd()), WaitIdOptions::EXITED)
    })
    .during("waitid", || "the first of two processes".into())?;
    Ok(Pid::from_raw(user_namespace::number(pidfd.as_fd())?).map(|pid| (pid, pidfd)))
}
