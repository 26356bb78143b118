//! The entry point: hands the initial stack to `main` and its result to the kernel.

use crate::{
    arguments::{Arguments, FRAMES_END},
    kernel, main,
};

/// Where the kernel enters the program. There is no return address, and the arguments are on the stack, so
/// that no function with an ordinary prologue could find them.
///
/// It begins the frames of what it calls where [`Arguments::scratch`] looks for them. That also makes the stack
/// pointer a multiple of 16, as most ABIs ask (arm and s390x are content with 8).
///
/// # Safety
/// Only for the kernel, after exec.
#[unsafe(naked)]
// SAFETY: the program has no other symbol of this name, as it is linked with no start files and no library.
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    // A zero frame pointer ends the chain for who walks it. `call` makes the stack pointer what a function
    // expects on entry (System V ABI, AMD64, 3.2.2).
    #[cfg(target_arch = "x86_64")]
    core::arch::naked_asm!(
        "xor ebp, ebp",
        "mov rdi, rsp",
        "and rsp, {frames_end}",
        "call {run}",
        frames_end = const FRAMES_END.cast_signed(),
        run = sym run
    );
    // Zeroes in the frame pointer and the link register end the chain for who walks it.
    #[cfg(target_arch = "aarch64")]
    core::arch::naked_asm!(
        "mov x29, xzr",
        "mov x30, xzr",
        "mov x0, sp",
        "and sp, x0, {frames_end}",
        "b {run}",
        frames_end = const FRAMES_END.cast_signed(),
        run = sym run
    );
    // As above. No instruction takes so long a mask, but two shifts do the same.
    #[cfg(target_arch = "arm")]
    core::arch::naked_asm!(
        "mov r11, #0",
        "mov lr, #0",
        "mov r0, sp",
        "lsr r1, r0, #{frame_bits}",
        "lsl r1, r1, #{frame_bits}",
        "mov sp, r1",
        "b {run}",
        frame_bits = const FRAMES_END.trailing_zeros(),
        run = sym run
    );
    // As above.
    #[cfg(target_arch = "riscv64")]
    core::arch::naked_asm!(
        "li fp, 0",
        "li ra, 0",
        "mv a0, sp",
        "li t0, {frames_end}",
        "and sp, sp, t0",
        "j {run}",
        frames_end = const FRAMES_END.cast_signed(),
        run = sym run
    );
    // A function saves registers in the 160 bytes that its caller left for it, of which the first 8 point to the
    // caller's caller (ELF ABI s390x supplement): a zero ends the chain.
    #[cfg(target_arch = "s390x")]
    core::arch::naked_asm!(
        "lgr %r2, %r15",
        "nill %r15, {frames_end}",
        "aghi %r15, -160",
        "xc 0(8,%r15), 0(%r15)",
        "jg {run}",
        frames_end = const FRAMES_END & 0xffff,
        run = sym run
    );
    // The kernel enters with the entry's own address in r12, from which functions compute r2, the base of constants.
    // A function saves its registers in the frame of its caller, of at least 32 bytes; a zero in its first word and
    // in the link register ends the chain (64-Bit ELF V2 ABI).
    #[cfg(all(target_arch = "powerpc64", target_endian = "little"))]
    core::arch::naked_asm!(
        "2:",
        "addis 2, 12, .TOC.-2b@ha",
        "addi 2, 2, .TOC.-2b@l",
        "mr 3, 1",
        "clrrdi 1, 1, {frame_bits}",
        "li 0, 0",
        "stdu 0, -32(1)",
        "mtlr 0",
        "b {run}",
        frame_bits = const FRAMES_END.trailing_zeros(),
        run = sym run
    );
}

/// # Safety
/// As for [`Arguments::at`].
unsafe extern "C" fn run(stack: *const usize) -> ! {
    // SAFETY: the caller promises the same.
    let arguments = unsafe { Arguments::at(stack) };
    kernel::exit(main(arguments))
}
