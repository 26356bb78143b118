//! The system calls that `pause` makes: a function for each thing it wants of the kernel.
//!
//! Numbers and layouts are those of the kernel, not of a C library: `include/uapi/asm-generic/` and
//! `arch/*/include/uapi/asm/` in Linux. How an architecture enters the kernel, [`call`] knows.

#[cfg_attr(target_arch = "x86_64", path = "kernel/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "kernel/aarch64.rs")]
#[cfg_attr(target_arch = "arm", path = "kernel/arm.rs")]
#[cfg_attr(target_arch = "powerpc64", path = "kernel/powerpc64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "kernel/riscv64.rs")]
#[cfg_attr(target_arch = "s390x", path = "kernel/s390x.rs")]
mod call;

use call::{EXIT_GROUP, GETPID, RT_SIGACTION, WAIT4, WRITE, system_call};
use core::{ops::Range, ptr};

pub(crate) const SIGINT: i32 = 2;
pub(crate) const SIGTERM: i32 = 15;
pub(crate) const SIGCHLD: i32 = 17;

/// The error of a call that a signal has interrupted.
const EINTR: usize = 4;
/// Pages are emptied: who looks at them again finds zeroes.
const MADV_DONTNEED: usize = 4;

/// A set of 64 signals, in as many words as that takes: none if all are 0, every one if all are [`usize::MAX`].
type SignalSet = [usize; 8 / size_of::<usize>()];

/// What happens when a signal comes.
#[derive(Clone, Copy)]
pub(crate) enum Action {
    /// The kernel drops it.
    Ignore,
    /// The function runs, and never returns.
    Call(extern "C" fn(signal: i32) -> !),
}

/// `struct sigaction` as the kernel has it (`include/linux/signal_types.h`), which is not as C libraries have it.
#[repr(C)]
struct SignalAction {
    handler: *const (),
    flags: usize,
    /// RISC-V is too young to have one.
    #[cfg(not(target_arch = "riscv64"))]
    restorer: *const (),
    mask: SignalSet,
}

/// Sets what happens when `signal` comes; false if the kernel refuses.
///
/// [sigaction(2)](https://man7.org/linux/man-pages/man2/sigaction.2.html)
pub(crate) fn set_action(signal: i32, action: Action) -> bool {
    /// A signal handler that is `SIG_IGN`.
    const IGNORE: *const () = ptr::without_provenance(1);
    /// Children don't become zombies. For SIGCHLD alone, where `SIG_IGN` says the same on Linux.
    const SA_NOCLDWAIT: usize = 0x2;
    /// x86-64 refuses to run a handler without this. Ours never return, so the restorer may be null.
    const SA_RESTORER: usize = if cfg!(target_arch = "riscv64") { 0 } else { 0x0400_0000 };
    /// While a handler runs no signal interrupts it. That includes a SIGPIPE of its own last words,
    /// and a second signal that would say them again.
    const ALL: SignalSet = [usize::MAX; _];

    let (handler, flags) = match action {
        Action::Ignore => (IGNORE, SA_NOCLDWAIT),
        Action::Call(function) => (function as *const (), SA_RESTORER),
    };
    let action = SignalAction {
        handler,
        flags,
        #[cfg(not(target_arch = "riscv64"))]
        restorer: ptr::null(),
        mask: ALL,
    };
    // SAFETY: rt_sigaction reads a `struct sigaction` through the second argument, which points to one that
    // lives across the call; writes nothing, as the third is null; and wants the size of a signal set as the
    // fourth. The handler is `SIG_IGN` or a function of the C ABI that takes the signal, touches no state of
    // the program it interrupts and never returns, so that the null restorer is never used.
    let result = unsafe {
        system_call(
            RT_SIGACTION,
            [
                signal.cast_unsigned() as usize,
                (&raw const action).expose_provenance(),
                0,
                size_of::<SignalSet>(),
            ],
        )
    };
    result == 0
}

/// Gives the pages of `scratch` back and sleeps until a handler ends the program. Calls `ended` should the
/// kernel refuse to let it sleep.
///
/// Ignored signals don't wake it, nor does a stop and continue end it. Unlike pause(2), which aarch64
/// lacks, it lets in what the program before exec had left blocked.
///
/// [madvise(2)](https://man7.org/linux/man-pages/man2/madvise.2.html),
/// [sigsuspend(2)](https://man7.org/linux/man-pages/man2/sigsuspend.2.html)
///
/// # Safety
/// `scratch` is empty, or it is whole pages of the stack in which nothing is of use but to functions that have
/// called this one, directly or not.
pub(crate) unsafe fn wait_for_ever(scratch: Range<usize>, ended: extern "C" fn() -> !) -> ! {
    static BLOCKED: SignalSet = [0; _];
    let length = scratch.end.saturating_sub(scratch.start);
    // SAFETY: madvise empties the pages of `scratch`, for which the caller answers; this function doesn't
    // return either, and the call itself uses no stack. rt_sigsuspend reads a signal set from a static of
    // the size that it is told.
    unsafe { call::discard_and_wait(scratch.start, length, &raw const BLOCKED, ended) }
}

/// Reaps every child that has ended.
///
/// [wait4(2)](https://man7.org/linux/man-pages/man2/wait4.2.html)
pub(crate) fn reap_zombies() {
    const ANY: usize = usize::MAX;
    const WNOHANG: usize = 0x1;
    /// Also children whose end is told by another signal than SIGCHLD, or by none.
    const WALL: usize = 0x4000_0000;
    // SAFETY: wait4 takes -1 for any child, and writes neither a status nor a usage as both pointers are null.
    while unsafe { system_call(WAIT4, [ANY, 0, WNOHANG | WALL, 0]) } > 0 {}
}

/// The number of this process in its own PID namespace.
///
/// [getpid(2)](https://man7.org/linux/man-pages/man2/getpid.2.html)
pub(crate) fn process_id() -> isize {
    // SAFETY: getpid takes no argument and can't fail.
    unsafe { system_call(GETPID, [0, 0, 0, 0]) }
}

/// Where words go.
#[derive(Clone, Copy)]
pub(crate) enum Output {
    /// Standard output.
    Standard = 1,
    /// Standard error.
    Error = 2,
}

/// Writes `words`, as far as there is someone to take them: nothing here hangs on their being read.
///
/// [write(2)](https://man7.org/linux/man-pages/man2/write.2.html)
pub(crate) fn write(output: Output, words: &[u8]) {
    // SAFETY: write reads as many bytes as the third argument says from where the second points: one slice. The
    // first is a file descriptor; a closed one is an error and nothing else.
    let _ = unsafe {
        system_call(WRITE, [output as usize, words.as_ptr().expose_provenance(), words.len(), 0])
    };
}

/// Ends the process with `code`.
///
/// [_exit(2)](https://man7.org/linux/man-pages/man2/exit_group.2.html)
pub(crate) fn exit(code: i32) -> ! {
    loop {
        // SAFETY: exit_group takes any number; no memory of ours is looked at.
        unsafe { system_call(EXIT_GROUP, [code.cast_unsigned() as usize, 0, 0, 0]) };
    }
}
