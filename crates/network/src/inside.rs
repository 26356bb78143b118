//! Acting inside another network namespace.

use std::{
    os::fd::BorrowedFd,
    thread::{Builder, scope},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Error, Result};

/// Runs `act` on a thread of its own that has entered `netns`; the caller's own threads stay where they are.
pub(crate) fn inside<T: Send>(
    netns: BorrowedFd<'_>,
    act: impl FnOnce() -> Result<T> + Send,
) -> Result<T> {
    let enter_and_act = || {
        move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))
            .map_err(|errno| Error::system(format!("setns({netns:?}, CLONE_NEWNET)"), errno))?;
        act()
    };
    scope(|scope| {
        let thread = Builder::new()
            .name("netns".to_owned())
            .stack_size(256 * 1024)
            .spawn_scoped(scope, enter_and_act)
            .map_err(|error| Error::system("start a thread for a network namespace", error))?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
