//! Becoming another program.

use std::ffi::{CStr, CString, c_char};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use crate::fds::last_errno;

/// Replaces this process by the program at `path` (`execve(2)`). Returns only on failure.
#[must_use]
pub fn execute(path: &CStr, arguments: &[CString], environment: &[CString]) -> Errno {
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: path is a C string; both arrays end with a null pointer and point to C strings that outlive
    // the call.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    last_errno()
}

/// Replaces this process by the program in `file` (`execveat(2)` with `AT_EMPTY_PATH`). Returns only on
/// failure.
#[must_use]
pub fn execute_file(file: BorrowedFd<'_>, arguments: &[CString], environment: &[CString]) -> Errno {
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: the descriptor is open, the path is an empty C string, and both arrays end with a null
    // pointer and point to C strings that outlive the call.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    last_errno()
}

/// The null-terminated array of pointers that execve takes.
pub(crate) fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
}
