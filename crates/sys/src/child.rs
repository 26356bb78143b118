//! Cloning a child that runs Rust code: only for a single-threaded process.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::io::Errno;
use rustix::process::Pid;

use crate::fds::last_errno;

/// How a child differs from its parent.
#[derive(Debug, Default, Clone, Copy)]
pub struct CloneOptions<'a> {
    /// A new PID namespace, whose PID 1 the child is.
    pub new_pid_namespace: bool,
    /// A new user namespace, in which it has all capabilities and no mapped ids.
    pub new_user_namespace: bool,
    /// Whether it is a child of the caller's parent, beside the caller (`CLONE_PARENT`).
    pub beside: bool,
    /// The cgroup v2 directory that it begins in (`CLONE_INTO_CGROUP`, Linux 5.7).
    pub into_cgroup: Option<BorrowedFd<'a>>,
}

/// A cloned child.
#[derive(Debug)]
pub struct Child {
    /// Its process id, in the caller's PID namespace.
    pub pid: Pid,
    /// Refers to it and no other, even when the number is used again.
    pub pidfd: OwnedFd,
}

/// Clones this process (`clone3(2)`, copy-on-write); the child runs `body` and exits with the status that
/// it returns.
///
/// # Errors
/// `EBUSY` if the process has more than one thread: the child would inherit their locks, held for ever.
/// Else as clone3(2).
pub fn clone_child(options: CloneOptions<'_>, body: impl FnOnce() -> i32) -> Result<Child, Errno> {
    // unshare(2): CLONE_THREAD changes nothing where there is one thread, and is EINVAL where there are more. It
    // asks no /proc, which may be another's.
    // SAFETY: it parts nothing of what this process has.
    if unsafe { libc::unshare(libc::CLONE_THREAD) } != 0 {
        return Err(Errno::BUSY);
    }
    let mut pidfd = -1;
    let mut flags = libc::CLONE_PIDFD;
    for (flag, asked) in [
        (libc::CLONE_NEWPID, options.new_pid_namespace),
        (libc::CLONE_NEWUSER, options.new_user_namespace),
        (libc::CLONE_PARENT, options.beside),
    ] {
        if asked {
            flags |= flag;
        }
    }
    // SAFETY: clone_args is plain integers, for which all zeroes is a value.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = u64::from(flags.cast_unsigned());
    arguments.pidfd = (&raw mut pidfd) as u64;
    // A sibling ends with the signal that the caller itself would: clone3 refuses another.
    if !options.beside {
        arguments.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    }
    if let Some(directory) = options.into_cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::from(directory.as_raw_fd().cast_unsigned());
    }
    // SAFETY: without CLONE_VM the child has its own copy of the memory, on a copy of this stack; the
    // process has one thread, so no lock is held by a thread that the child lacks; the structure is
    // initialised and as long as said, and pidfd outlives the call.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) };
    match pid {
        ..0 => Err(last_errno()),
        0 => {
            // A panic must not unwind into the parent's code: the child ends here.
            let status = catch_unwind(AssertUnwindSafe(body)).unwrap_or(101);
            end_child(status)
        }
        _ => Ok(Child {
            pid: i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::RANGE)?,
            // SAFETY: CLONE_PIDFD stored a new descriptor that nothing else owns.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// Ends a cloned child at once (`_exit(2)`), and nothing that it has is dropped.
pub fn end_child(status: i32) -> ! {
    // SAFETY: _exit ends the process; nothing of it is used again.
    unsafe { libc::_exit(status) }
}

/// `CLONE_INTO_CGROUP` of `linux/sched.h`, which does not fit the `c_int` of the C library's constants.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
