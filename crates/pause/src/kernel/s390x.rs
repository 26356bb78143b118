//! How s390x enters the kernel, and its system call numbers (`arch/s390/kernel/syscalls/syscall.tbl`).

use super::{EINTR, MADV_DONTNEED, SignalSet};
use core::arch::asm;

pub(super) const WRITE: usize = 4;
pub(super) const GETPID: usize = 20;
pub(super) const WAIT4: usize = 114;
pub(super) const RT_SIGACTION: usize = 174;
const RT_SIGSUSPEND: usize = 179;
const MADVISE: usize = 219;
pub(super) const EXIT_GROUP: usize = 248;

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
    // SAFETY: the caller answers for the arguments. `svc 0` takes the number from r1, keeps every register but
    // r2, the result, and no stack is used.
    unsafe {
        asm!(
            "svc 0",
            in("r1") number,
            inlateout("r2") first => result,
            in("r3") second,
            in("r4") third,
            in("r5") fourth,
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
    // SAFETY: the caller answers for the arguments. `svc` changes r2, in which nothing is kept over it. The 160 bytes
    // from the stack pointer on, in which `ended` may save registers, are those of a function that doesn't run again.
    unsafe {
        asm!(
            "svc 0",
            "2:",
            "lghi %r1, {suspend}",
            "lgr %r2, %r6",
            "lghi %r3, {size}",
            "svc 0",
            "aghi %r2, {eintr}",
            "jz 2b",
            "basr %r14, %r7",
            suspend = const RT_SIGSUSPEND,
            size = const size_of::<SignalSet>(),
            eintr = const EINTR,
            in("r1") MADVISE,
            in("r2") start,
            in("r3") length,
            in("r4") MADV_DONTNEED,
            in("r6") blocked,
            in("r7") ended,
            options(noreturn),
        );
    }
}
