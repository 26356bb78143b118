//! How x86-64 enters the kernel, and its system call numbers (`arch/x86/entry/syscalls/syscall_64.tbl`).

use super::{EINTR, MADV_DONTNEED, SignalSet};
use core::arch::asm;

pub(super) const WRITE: usize = 1;
pub(super) const RT_SIGACTION: usize = 13;
const MADVISE: usize = 28;
pub(super) const GETPID: usize = 39;
pub(super) const WAIT4: usize = 61;
const RT_SIGSUSPEND: usize = 130;
pub(super) const EXIT_GROUP: usize = 231;

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
    // SAFETY: the caller answers for the arguments. `syscall` itself changes rax, rcx and r11, which are named
    // here, and no stack.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            in("r10") fourth,
            lateout("rcx") _,
            lateout("r11") _,
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
    // SAFETY: the caller answers for the arguments. `syscall` changes rax, rcx and r11, in none of which anything
    // is kept over it. The stack pointer is made a multiple of 16 before the call, as the ABI asks.
    unsafe {
        asm!(
            "syscall",
            "2:",
            "mov eax, {suspend}",
            "mov rdi, r12",
            "mov esi, {size}",
            "syscall",
            "cmp rax, -{eintr}",
            "je 2b",
            "and rsp, -16",
            "call r13",
            suspend = const RT_SIGSUSPEND,
            size = const size_of::<SignalSet>(),
            eintr = const EINTR,
            in("rax") MADVISE,
            in("rdi") start,
            in("rsi") length,
            in("rdx") MADV_DONTNEED,
            in("r12") blocked,
            in("r13") ended,
            options(noreturn),
        );
    }
}
