//! How aarch64 enters the kernel, and its system call numbers (`include/uapi/asm-generic/unistd.h`).

use super::{EINTR, MADV_DONTNEED, SignalSet};
use core::arch::asm;

pub(super) const WRITE: usize = 64;
pub(super) const EXIT_GROUP: usize = 94;
const RT_SIGSUSPEND: usize = 133;
pub(super) const RT_SIGACTION: usize = 134;
pub(super) const GETPID: usize = 172;
const MADVISE: usize = 233;
pub(super) const WAIT4: usize = 260;

/// Makes a system call; returns its result, or an error number negated.
///
/// [syscall(2)](https://man7.org/linux/man-pages/man2/syscall.2.html)
///
/// # Safety
/// `arguments` are what the kernel documents for `number`; where one is an address, what lies there lives
/// across the call, and is written to by nobody else if the kernel reads, or free to be written to if the
/// kernel writes.
pub(super) unsafe fn system_call(number: usize, arguments: [usize; 4]) -> isize {
    let [first, second, third, fourth] = arguments;
    let result;
    // SAFETY: the caller answers for the arguments. `svc` keeps every register but x0, the result, and no
    // stack is used.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") first => result,
            in("x1") second,
            in("x2") third,
            in("x3") fourth,
            options(nostack, preserves_flags),
        );
    }
    result
}

/// Empties the pages of `length` bytes from `start`, and then waits for signals, none blocked but those in
/// `blocked`. Calls `ended` if the kernel refuses to wait.
///
/// It is one piece of assembly, as the pages may be those of the stack that it runs on: between the system calls
/// everything is in registers, which the kernel keeps.
///
/// # Safety
/// - `start` is a multiple of the page size. Nobody looks at what is in the pages any more, but the callers of
///   this function, which don't run again.
/// - `blocked` points to a signal set that lives for ever and is not in these pages.
pub(super) unsafe fn discard_and_wait(
    start: usize,
    length: usize,
    blocked: *const SignalSet,
    ended: extern "C" fn() -> !,
) -> ! {
    // SAFETY: the caller answers for the arguments. `svc` changes x0, in which nothing is kept over it. The stack
    // pointer is always a multiple of 16.
    unsafe {
        asm!(
            "svc 0",
            "2:",
            "mov x8, {suspend}",
            "mov x0, x9",
            "mov x1, {size}",
            "svc 0",
            "cmn x0, {eintr}",
            "b.eq 2b",
            "blr x10",
            suspend = const RT_SIGSUSPEND,
            size = const size_of::<SignalSet>(),
            eintr = const EINTR,
            in("x8") MADVISE,
            in("x0") start,
            in("x1") length,
            in("x2") MADV_DONTNEED,
            in("x9") blocked,
            in("x10") ended,
            options(noreturn),
        );
    }
}
