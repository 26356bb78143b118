//! File descriptors at the edges of a process: those it was given, and those it must not hand on.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::Stat;
use rustix::io::Errno;

/// Marks every descriptor from `first` up close-on-exec (`close_range(2)` with `CLOSE_RANGE_CLOEXEC`,
/// Linux 5.11), so that what is executed next starts with those below `first` alone.
///
/// # Errors
/// As close_range(2).
pub fn mark_close_on_exec_from(first: u32) -> Result<(), Errno> {
    // SAFETY: CLOSE_RANGE_CLOEXEC only sets a flag on descriptors of this process; it closes none, so no
    // OwnedFd is invalidated.
    let done =
        unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Takes ownership of the descriptor `number` that the program was started with; `None` if it is not open.
/// It is marked close-on-exec.
///
/// A program calls this at its beginning, once for each number that [`Program`](crate::Program) placed:
/// a second call for one number would make two owners, so it is refused by taking only descriptors that
/// are not yet close-on-exec, which no descriptor opened by Rust code is.
#[must_use]
pub fn take_inherited(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: F_GETFD reads a flag of a descriptor number and fails with EBADF if it is not open.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 || flags & libc::FD_CLOEXEC != 0 {
        return None;
    }
    // SAFETY: the descriptor is open (F_GETFD succeeded) and nothing in this process owns it: it came
    // through execve, and the flag that is set here keeps it from being taken twice.
    unsafe {
        libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
        Some(OwnedFd::from_raw_fd(number))
    }
}

/// Closes every descriptor from `first` up that is not among `kept`: whoever owns one must not use it again. To be
/// called in a child that is the copy of another process, and that never goes back to what that one was doing.
///
/// # Errors
/// As close_range(2).
pub fn close_from(first: u32, kept: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut numbers: Vec<u32> = kept.iter().map(|fd| fd.as_raw_fd().cast_unsigned()).collect();
    numbers.sort_unstable();
    numbers.push(u32::MAX);
    let mut first = first;
    for number in numbers {
        if first < number {
            // SAFETY: the contract above: what is closed is the child's copy, which nobody uses again.
            let done = unsafe { libc::syscall(libc::SYS_close_range, first, number - 1, 0) };
            if done != 0 {
                return Err(last_errno());
            }
        }
        first = first.max(number.saturating_add(1));
    }
    Ok(())
}

/// Lets the program that is executed next have the `count` descriptors from 3 on; those that are not open are left out.
pub fn pass_on(count: u32) {
    for number in (3..).take(usize::try_from(count).unwrap_or(usize::MAX)) {
        // SAFETY: F_SETFD changes a flag of a descriptor number and fails with EBADF if it is not open.
        unsafe { libc::fcntl(number, libc::F_SETFD, 0) };
    }
}

/// Whether the descriptor `number` is open.
#[must_use]
pub fn is_open(number: RawFd) -> bool {
    // SAFETY: F_GETFD reads a flag of a descriptor number and fails with EBADF if it is not open.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}

/// Puts a copy of `by`, marked close-on-exec, in the place of the descriptor `number` if that is open on a file of
/// which `wanted` says so (`dup3(2)`). Who owns it goes on to own an open descriptor, but of another file.
///
/// # Errors
/// As dup3(2).
pub fn replace_descriptor(
    number: RawFd,
    wanted: impl FnOnce(&Stat) -> bool,
    by: BorrowedFd<'_>,
) -> Result<(), Errno> {
    if !is_open(number) {
        return Ok(());
    }
    // SAFETY: the descriptor is open, and nobody closes it before the end of this call, which only reads.
    let file = unsafe { BorrowedFd::borrow_raw(number) };
    if !rustix::fs::fstat(file).is_ok_and(|stat| wanted(&stat)) {
        return Ok(());
    }
    // SAFETY: both are open; `number` is open before and after, so no owner closes what is not its own.
    let done = unsafe { libc::dup3(by.as_raw_fd(), number, libc::O_CLOEXEC) };
    if done < 0 { Err(last_errno()) } else { Ok(()) }
}

/// The calling thread's errno.
pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
