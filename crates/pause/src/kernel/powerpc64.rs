//! How 64-bit little-endian PowerPC enters the kernel, and its system call numbers
//! (`arch/powerpc/kernel/syscalls/syscall.tbl`).

use super::{EINTR, MADV_DONTNEED, SignalSet};
use core::arch::asm;

pub(super) const WRITE: usize = 4;
pub(super) const GETPID: usize = 20;
pub(super) const WAIT4: usize = 114;
pub(super) const RT_SIGACTION: usize = 173;
const RT_SIGSUSPEND: usize = 178;
const MADVISE: usize = 205;
pub(super) const EXIT_GROUP: usize = 234;

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
    // SAFETY: the caller answers for the arguments. `sc` may change the registers that a function may change, all
    // named here, and no stack is used. An error is a positive number, told from a result by a bit of cr0.
    unsafe {
        asm!(
            "sc",
            "bns 2f",
            "neg 3, 3",
            "2:",
            inlateout("r0") number => _,
            inlateout("r3") first => result,
            inlateout("r4") second => _,
            inlateout("r5") third => _,
            inlateout("r6") fourth => _,
            lateout("r7") _,
            lateout("r8") _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
            lateout("r12") _,
            lateout("cr0") _,
            lateout("ctr") _,
            lateout("xer") _,
            options(nostack),
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
    // SAFETY: the caller answers for the arguments. `sc` keeps r14 and r15; what comes of waiting is always an error
    // number. A function expects its own address in r12, and may save what it likes in the frame at the stack
    // pointer, which is that of a function that doesn't run again.
    unsafe {
        asm!(
            "sc",
            "2:",
            "li 0, {suspend}",
            "mr 3, 14",
            "li 4, {size}",
            "sc",
            "cmpwi 3, {eintr}",
            "beq 2b",
            "mr 12, 15",
            "mtctr 12",
            "bctrl",
            suspend = const RT_SIGSUSPEND,
            size = const size_of::<SignalSet>(),
            eintr = const EINTR,
            in("r0") MADVISE,
            in("r3") start,
            in("r4") length,
            in("r5") MADV_DONTNEED,
            in("r14") blocked,
            in("r15") ended,
            options(noreturn),
        );
    }
}
