//! Loading a seccomp filter.

use std::os::fd::{FromRawFd, OwnedFd};

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

/// How a filter is loaded: `SECCOMP_FILTER_FLAG_*`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SeccompFlags {
    /// All threads of the process (Linux 3.17).
    pub all_threads: bool,
    /// What is not plainly allowed is logged (Linux 4.14).
    pub log: bool,
    /// Speculative store bypass is not mitigated (Linux 4.17).
    pub allow_speculation: bool,
    /// Who waits for a listener that has taken its notification waits killably (Linux 5.19); only with a
    /// listener.
    pub killable: bool,
}

impl SeccompFlags {
    fn bits(self) -> libc::c_ulong {
        [
            (self.all_threads, libc::SECCOMP_FILTER_FLAG_TSYNC),
            (self.log, libc::SECCOMP_FILTER_FLAG_LOG),
            (self.allow_speculation, libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW),
            (self.killable, libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV),
        ]
        .into_iter()
        .filter(|(asked, _)| *asked)
        .fold(0, |flags, (_, flag)| flags | flag)
    }
}

/// Puts the calling thread under `filter` for the rest of its life (`seccomp(2)`,
/// `SECCOMP_SET_MODE_FILTER`). Needs no-new-privileges or `CAP_SYS_ADMIN`.
///
/// # Errors
/// `EINVAL` for an empty or overlong filter, `ESRCH` if a thread can't be put under it too; else as
/// seccomp(2).
pub fn load_seccomp_filter(
    filter: &[SeccompInstruction],
    flags: SeccompFlags,
) -> Result<(), Errno> {
    match set_filter(filter, flags.bits())? {
        0 => Ok(()),
        // The number of the thread that could not follow (SECCOMP_FILTER_FLAG_TSYNC).
        _ => Err(Errno::SRCH),
    }
}

/// The same, and returns the descriptor by which what the filter answers with "notify" is answered
/// (`seccomp_unotify(2)`, Linux 5.0). It is close-on-exec. Of the flags, `all_threads` is refused.
///
/// # Errors
/// `EBUSY` if there is a filter with a listener already; else as for [`load_seccomp_filter`].
pub fn load_seccomp_filter_with_listener(
    filter: &[SeccompInstruction],
    flags: SeccompFlags,
) -> Result<OwnedFd, Errno> {
    if flags.all_threads {
        return Err(Errno::INVAL);
    }
    let fd = set_filter(filter, flags.bits() | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)?;
    let fd = i32::try_from(fd).map_err(|_too_large| Errno::BADF)?;
    // SAFETY: with SECCOMP_FILTER_FLAG_NEW_LISTENER the kernel returned a new descriptor that nothing else
    // owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn set_filter(filter: &[SeccompInstruction], flags: libc::c_ulong) -> Result<i64, Errno> {
    let length = u16::try_from(filter.len()).map_err(|_too_long| Errno::INVAL)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut().cast() };
    // SAFETY: the program points to `length` instructions of the kernel's own layout (asserted above); the
    // kernel copies and verifies them and writes nothing.
    let done = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    if done < 0 { Err(last_errno()) } else { Ok(done) }
}
