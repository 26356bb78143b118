//! Handing a start over to a process in another PID namespace, which is entered by birth: so there are two births.
//! The first process enters what comes before, and the second is made the starter's child in its place
//! (`CLONE_PARENT`).
//!
//! A PID namespace that a user namespace owns is made by a process that is in that one already. And a running
//! container's is entered last, when what of the host could be reached through this process is out of reach: to a
//! process in there with `CAP_SYS_PTRACE` everything is open that is born in it (CVE-2016-9962).

use std::cell::Cell;
use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, set_parent_process_death_signal};
use sandbar_sys::{CloneOptions, During, clone_child, close_from, end_child};

use crate::error::{Error, Kind};
use crate::report::{Report, Reporter, Reports};

/// Clones a process beside this one, and tells the starter of it through `handoff`. Then it runs `rest`, which is given
/// the number that it has for the starter: it can't see that itself. This one ends, and returns only if that fails.
pub(crate) fn hand_over(
    handoff: &Reporter,
    reporter: &Reporter,
    rest: impl FnOnce(i32) -> Result<Infallible, Error>,
) -> Result<Infallible, Error> {
    let options = CloneOptions { beside: true, ..CloneOptions::default() };
    let (told, teller) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC).during("pipe2", String::new)?;
    let teller = Cell::new(Some(teller));
    let child = clone_child(options, || {
        // So that the pipe ends when the first process does.
        drop(teller.take());
        let done = set_parent_process_death_signal(Some(Signal::KILL))
            .during("prctl", || "PR_SET_PDEATHSIG SIGKILL".into())
            .and_then(|()| rustix::process::setsid().during("setsid", String::new))
            .map_err(Error::from)
            .and_then(|_session| rest(own_number(&told)?));
        let error = match done {
            Ok(never) => match never {},
            Err(error) => error,
        };
        reporter.failed(&error);
        error.exit_status()
    });
    let child = child.during("clone3", || "CLONE_PARENT".into())?;
    handoff.handed_over(&child)?;
    if let Some(teller) = teller.take() {
        // What ends with the second process ends only then: the reports, by which the starter sees it execute.
        close_from(3, &[teller.as_fd()]).during("close_range", || "3 and up".into())?;
        // One that was killed meanwhile is not told.
        let _unread = rustix::io::write(&teller, &child.pid.as_raw_nonzero().get().to_ne_bytes());
    }
    end_child(0)
}

/// The number of this process. Until it is told the starter may not know of this process, which must not end before.
fn own_number(told: &OwnedFd) -> Result<i32, Error> {
    let mut number = [0; 4];
    let length = rustix::io::retry_on_intr(|| rustix::io::read(told, &mut number))
        .during("read", || "the own process id".into())?;
    match i32::from_ne_bytes(number) {
        number if length == size_of::<i32>() => Ok(number),
        _ => Err(Error::new(Kind::System, "the process that was to tell the own id has ended")),
    }
}

/// The process that the start was handed over to, and its number; the `first` one is collected. `None` if that
/// one failed before.
pub(crate) fn receive(handoff: &Reports, first: &OwnedFd) -> Result<Option<(Pid, OwnedFd)>, Error> {
    let Some(Report::HandedOver(pid, pidfd)) = handoff.next()? else { return Ok(None) };
    collect(first.as_fd(), WaitIdOptions::EXITED)
        .during("waitid", || "the first of two processes".into())?;
    Ok(Some((pid, pidfd)))
}

/// Collects the first process, which is of no more interest.
pub(crate) fn collect(first: BorrowedFd<'_>, options: WaitIdOptions) -> rustix::io::Result<()> {
    rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(first), options)).map(drop)
}
