//! How riscv64 enters the kernel, and its system call numbers (`include/uapi/asm-generic/unistd.h`).

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
    // SAFETY: the caller answers for the arguments. `ecall` keeps every register but a0, the result, and
    // no stack is used.
    unsafe {
        asm!(
            "ecall",
            in("a7") number,
            inlateout("a0") first => result,
            in("a1") second,
            in("a2") third,
            in("a3") fourth,
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
    // SAFETY: the caller answers for the arguments. `ecall` changes a0, in which nothing is kept over it. The stack
    // pointer is always a multiple of 16.
    unsafe {
        asm!(
            "ecall",
            "2:",
            "li a7, {suspend}",
            "mv a0, s2",
            "li a1, {size}",
            "ecall",
            "addi a0, a0, {eintr}",
            "beqz a0, 2b",
            "jalr s3",
            suspend = const RT_SIGSUSPEND,
            size = const size_of::<SignalSet>(),
            eintr = const EINTR,
            in("a7") MADVISE,
            in("a0") start,
            in("a1") length,
            in("a2") MADV_DONTNEED,
            in("s2") blocked,
            in("s3") ended,
            options(noreturn),
        );
    }
}
