//! Makes processes whose parent ends before anyone has waited for them.
#![allow(unsafe_code, reason = "no safe function makes a process that runs no other program")]

use std::{io::Error, thread, time::Duration};

/// What they are when their parent ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Orphans {
    /// Still running.
    Running,
    /// Ended.
    Zombies,
}

/// How many one parent leaves behind.
const FAMILY: usize = 100;

/// Makes `count` orphans, a multiple of 100, and returns when each has lost its parent.
pub(crate) fn make_orphans(count: usize, what: Orphans) {
    assert_eq!(count % FAMILY, 0);
    for _ in 0..count / FAMILY {
        let mother = fork(|| leave_a_family(what));
        let mut status = 0;
        // SAFETY: waitpid writes a status to an integer that lives across the call.
        let waited = unsafe { libc::waitpid(mother, &raw mut status, 0) };
        assert_eq!((waited, status), (mother, 0), "{}", Error::last_os_error());
    }
}

/// Has children and reaps none; true if that went well.
pub(crate) fn leave_a_family(what: Orphans) -> bool {
    // SAFETY: getpid takes nothing and can't fail.
    let mother = unsafe { libc::getpid() };
    for _ in 0..FAMILY {
        let child = fork(|| {
            // SAFETY: getppid takes nothing and can't fail.
            while what == Orphans::Running && unsafe { libc::getppid() } == mother {
                thread::sleep(Duration::from_millis(1));
            }
            true
        });
        if child < 0 || what == Orphans::Zombies && !has_ended(child) {
            return false;
        }
    }
    true
}

/// Waits until `child` has ended, and leaves it a zombie.
fn has_ended(child: libc::pid_t) -> bool {
    // SAFETY: all zeroes is a siginfo_t; it is only written to.
    let mut info = unsafe { std::mem::zeroed() };
    let id = child.cast_unsigned();
    // SAFETY: waitid writes to a siginfo_t that lives across the call.
    unsafe { libc::waitid(libc::P_PID, id, &raw mut info, libc::WEXITED | libc::WNOWAIT) == 0 }
}

/// Runs `child` in a process of its own; returns its number, or -1.
fn fork(child: impl FnOnce() -> bool) -> libc::pid_t {
    // SAFETY: fork copies this thread alone. The child makes system calls and neither allocates nor locks, so it
    // needs nothing of what the other threads might have held, and it ends without returning.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(i32::from(!child())),
            id => id,
        }
    }
}
