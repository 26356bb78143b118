//! Loading a seccomp filter.

use rustix::io::Errno;

use crate::fds::last_errno;

/// One instruction of a seccomp filter: `struct sock_filter` of `linux/filter.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct SeccompInstruction {
    /// The operation.
    pub code: u16,
    /// How far to jump if it holds.
    pub jt: u8,
    /// How far to jump if it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

const _: () = assert!(size_of::<SeccompInstruction>() == size_of::<libc::sock_filter>());

/// Puts the calling thread under `filter` for the rest of its life (`seccomp(2)`,
/// `SECCOMP_SET_MODE_FILTER`). Needs no-new-privileges or `CAP_SYS_ADMIN`.
///
/// # Errors
/// `EINVAL` for an empty or overlong filter; else as seccomp(2).
pub fn load_seccomp_filter(filter: &[SeccompInstruction]) -> Result<(), Errno> {
    let length = u16::try_from(filter.len()).unwrap_or(0);
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut().cast() };
    // SAFETY: the program points to `length` instructions of the kernel's own layout (asserted above); the
    // kernel copies and verifies them and writes nothing.
    let done = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}
