//! How 32-bit arm enters the kernel (EABI), and its system call numbers (`arch/arm/tools/syscall.tbl`).

use super::{EINTR, MADV_DONTNEED, SignalSet};
use core::arch::asm;

pub(super) const WRITE: usize = 4;
pub(super) const GETPID: usize = 20;
pub(super) const WAIT4: usize = 114;
pub(super) const RT_SIGACTION: usize = 174;
const RT_SIGSUSPEND: usize = 179;
const MADVISE: usize = 220;
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
    // SAFETY: the caller answers for the arguments. `svc` keeps every register but r0, the result, and no
    // stack is used.
    unsafe {
        asm!(
            "svc 0",
            in("r7") number,
            inlateout("r0") first => result,
            in("r1") second,
            in("r2") third,
            in("r3") fourth,
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
    // SAFETY: the caller answers for the arguments. `svc` changes r0, in which nothing is kept over it. The stack
    // pointer is always a multiple of 8.
    unsafe {
        asm!(
            "svc 0",
            "2:",
            "mov r7, #{suspend}",
            "mov r0, r4",
            "mov r1, #{size}",
            "svc 0",
            "cmn r0, #{eintr}",
            "beq 2b",
            "blx r5",
            suspend = const RT_SIGSUSPEND,
            size = const size_of::<SignalSet>(),
            eintr = const EINTR,
            in("r7") MADVISE,
            in("r0") start,
            in("r1") length,
            in("r2") MADV_DONTNEED,
            in("r4") blocked,
            in("r5") ended,
            options(noreturn),
        );
    }
}
