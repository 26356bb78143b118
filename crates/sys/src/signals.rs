//! Signals as file descriptors, and the state a new program starts with.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::Signal;

use crate::fds::last_errno;

/// A file descriptor that becomes readable when one of its signals is pending (`signalfd(2)`).
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks `signals` for this thread and reads them from a descriptor instead; non-blocking.
    ///
    /// # Errors
    /// As sigprocmask(2) and signalfd(2).
    pub fn new(signals: &[Signal]) -> Result<Self, Errno> {
        let set = block_signals(signals)?;
        // SAFETY: the set is initialised; -1 asks for a new descriptor.
        let fd =
            unsafe { libc::signalfd(-1, &raw const set.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(last_errno());
        }
        // SAFETY: signalfd returned a new descriptor that nothing else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next pending signal's number, or `None` if there is none now.
    #[must_use]
    pub fn next(&self) -> Option<i32> {
        let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
        let read = rustix::io::read(&self.0, &mut info).ok()?;
        let number = info.first_chunk::<4>().filter(|_| read == info.len())?;
        i32::try_from(u32::from_ne_bytes(*number)).ok()
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A set of signals that [`block_signals`] blocked.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations, reason = "the C type has none")]
pub struct SignalSet(libc::sigset_t);

/// Blocks `signals` for the calling thread (`sigprocmask(2)`).
///
/// # Errors
/// As sigprocmask(2).
pub fn block_signals(signals: &[Signal]) -> Result<SignalSet, Errno> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set; sigaddset takes an initialised set and a valid number;
    // pthread_sigmask reads it and accepts a null old set.
    let failed = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal.as_raw());
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut())
    };
    // SAFETY: initialised by sigemptyset above.
    if failed == 0 { Ok(SignalSet(unsafe { set.assume_init() })) } else { Err(last_errno()) }
}

/// The real-time signal `number`; `None` if the number is not one that programs may use.
#[must_use]
pub fn real_time_signal(number: i32) -> Option<Signal> {
    if !(libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number) {
        return None;
    }
    // SAFETY: the number is a real-time signal that the C library does not keep for itself.
    Some(unsafe { Signal::from_raw_unchecked(number) })
}

/// Unblocks every signal for the calling thread, and has children wait to be collected: a program inherits
/// what its starter had blocked, and an ignored SIGCHLD would have the kernel forget how children end.
pub fn unblock_signals() {
    // SAFETY: SIG_DFL is a valid disposition for SIGCHLD; the empty set is initialised before it is used; a
    // null old set is accepted.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        let mut none = MaybeUninit::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// Unblocks every signal and sets every disposition to its default, as a new program expects; Rust's
/// runtime ignores SIGPIPE, and a supervisor blocks what it reads from a descriptor.
pub fn default_signals() {
    // SAFETY: SIG_DFL is a valid disposition for each number; those that can't be changed fail with EINVAL,
    // which changes nothing.
    unsafe {
        for number in 1..=libc::SIGRTMAX() {
            libc::signal(number, libc::SIG_DFL);
        }
    }
    unblock_signals();
}
