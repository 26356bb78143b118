//! Starting a program that outlives its starter.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::process::Pid;

use crate::exec::pointers;
use crate::fds::last_errno;

/// A program to be started as a session of its own, with just the descriptors that it is given.
#[derive(Debug)]
pub struct Program<'a> {
    /// The file to execute.
    pub file: BorrowedFd<'a>,
    /// Its arguments, the first by custom its name.
    pub arguments: Vec<CString>,
    /// Its environment, `NAME=value` each.
    pub environment: Vec<CString>,
    /// What it gets as descriptors 0, 1, 2, 3 and so on, in this order; all else is closed.
    pub descriptors: Vec<BorrowedFd<'a>>,
    /// cgroup v1 `tasks` files, to each of which it writes "0" first, and so moves itself.
    pub cgroup_tasks: Vec<BorrowedFd<'a>>,
    /// The cgroup v2 directory that it begins in.
    pub into_cgroup: Option<BorrowedFd<'a>>,
}

impl Program<'_> {
    /// Starts it. It is not a child of this process but an orphan that init reaps, so nobody has to wait
    /// for it.
    ///
    /// # Errors
    /// The first call that failed, up to and including the execution itself.
    pub fn start_detached(&self) -> Result<Pid, Errno> {
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        // Above all targets, so that no dup2 below overwrites a source not yet copied.
        let count = RawFd::try_from(self.descriptors.len()).unwrap_or(RawFd::MAX / 2);
        let mut sources = Vec::new();
        for descriptor in &self.descriptors {
            sources.push(rustix::io::fcntl_dupfd_cloexec(descriptor, count)?);
        }
        let file = rustix::io::fcntl_dupfd_cloexec(self.file, count)?;
        let raw: Vec<RawFd> = sources.iter().map(AsRawFd::as_raw_fd).collect();
        let tasks: Vec<RawFd> = self.cgroup_tasks.iter().map(AsRawFd::as_raw_fd).collect();
        let (report, reporter) = pipe(count)?;
        // SAFETY: vfork-free fork; from here to _exit or execveat the child makes only async-signal-safe
        // system calls on memory prepared above, so it is safe in a process with threads too.
        let first = unsafe { fork(self.into_cgroup) }?;
        if first == 0 {
            // SAFETY: as above. All pointers and descriptors were made before the fork and outlive it.
            unsafe {
                let second = libc::fork();
                if second != 0 {
                    let failed = second < 0;
                    tell(&reporter, if failed { *libc::__errno_location() } else { -second });
                    libc::_exit(0);
                }
                let errno = become_program(
                    file.as_raw_fd(),
                    &raw,
                    &tasks,
                    arguments.as_ptr(),
                    environment.as_ptr(),
                );
                tell(&reporter, errno);
                libc::_exit(127);
            }
        }
        drop(reporter);
        reap(first);
        read_report(&report)
    }
}

/// Forks, into a cgroup v2 directory if given.
///
/// # Safety
/// The child may only make async-signal-safe calls until it executes or ends.
unsafe fn fork(into: Option<BorrowedFd<'_>>) -> Result<libc::pid_t, Errno> {
    let pid = if let Some(directory) = into {
        // SAFETY: clone_args is plain integers, for which all zeroes is a value.
        let mut clone: libc::clone_args = unsafe { std::mem::zeroed() };
        clone.flags = 0x2_0000_0000; // CLONE_INTO_CGROUP
        clone.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
        clone.cgroup = u64::from(directory.as_raw_fd().cast_unsigned());
        // SAFETY: no CLONE_VM: the child has a copy of the memory and stack; the structure is initialised.
        unsafe { libc::syscall(libc::SYS_clone3, &raw const clone, size_of_val(&clone)) }
    } else {
        // SAFETY: as the function's own contract.
        i64::from(unsafe { libc::fork() })
    };
    if pid < 0 { Err(last_errno()) } else { i32::try_from(pid).map_err(|_overflow| Errno::RANGE) }
}

/// What the grandchild does; returns the errno of what failed.
///
/// # Safety
/// All descriptors are open, both pointer arrays end with null and point to C strings.
unsafe fn become_program(
    file: RawFd,
    sources: &[RawFd],
    tasks: &[RawFd],
    arguments: *const *const libc::c_char,
    environment: *const *const libc::c_char,
) -> i32 {
    // SAFETY: the function's contract; every call here is async-signal-safe.
    unsafe {
        for &file in tasks {
            if libc::write(file, b"0".as_ptr().cast(), 1) < 0 {
                return *libc::__errno_location();
            }
        }
        if libc::setsid() < 0 {
            return *libc::__errno_location();
        }
        let mut target = 0;
        for &source in sources {
            if libc::dup2(source, target) < 0 {
                return *libc::__errno_location();
            }
            target += 1;
        }
        libc::syscall(libc::SYS_close_range, target, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        libc::chdir(c"/".as_ptr());
        libc::syscall(
            libc::SYS_execveat,
            file,
            c"".as_ptr(),
            arguments,
            environment,
            libc::AT_EMPTY_PATH,
        );
        *libc::__errno_location()
    }
}

/// A close-on-exec pipe, written to above the numbers that a program is given: those below `count`.
fn pipe(count: RawFd) -> Result<(OwnedFd, OwnedFd), Errno> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    Ok((read, rustix::io::fcntl_dupfd_cloexec(&write, count)?))
}

/// Writes one number into the report pipe: an errno, or a process id negated.
fn tell(reporter: &OwnedFd, number: i32) {
    // SAFETY: write(2) of four bytes that live on the stack; async-signal-safe.
    unsafe { libc::write(reporter.as_raw_fd(), (&raw const number).cast(), 4) };
}

/// The started program's id, or why it did not start; ends when the pipe closes, by the execution.
fn read_report(report: &OwnedFd) -> Result<Pid, Errno> {
    let mut started = Err(Errno::CHILD);
    let mut number = [0_u8; 4];
    while rustix::io::retry_on_intr(|| rustix::io::read(report, &mut number))? == number.len() {
        match i32::from_ne_bytes(number) {
            errno @ 1.. => return Err(Errno::from_raw_os_error(errno)),
            pid => started = Pid::from_raw(-pid).ok_or(Errno::CHILD),
        }
    }
    started
}

/// Collects the short-lived first child.
fn reap(pid: libc::pid_t) {
    let pid = Pid::from_raw(pid);
    let _reaped = rustix::io::retry_on_intr(|| {
        rustix::process::waitpid(pid, rustix::process::WaitOptions::empty())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn a_detached_program_gets_its_descriptors_in_order() {
        let file = std::fs::File::open("/bin/sh").unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let (mut output, input) = std::io::pipe().unwrap();
        let program = Program {
            file: file.as_fd(),
            arguments: ["sh", "-c", "echo out; echo three >&3; ls /proc/self/fd | wc -w >&3"]
                .map(|s| CString::new(s).unwrap())
                .into(),
            environment: vec![c"PATH=/bin:/usr/bin".into()],
            descriptors: vec![null.as_fd(), input.as_fd(), input.as_fd(), input.as_fd()],
            cgroup_tasks: vec![],
            into_cgroup: None,
        };
        let pid = program.start_detached().unwrap();
        assert!(pid.as_raw_nonzero().get() > 1);
        drop(program);
        drop(input);
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        // ls has 0, 1, 2, 3 and the directory that it reads.
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["out", "three", "5"]);
    }

    #[test]
    fn a_program_that_cannot_be_executed_is_an_error() {
        let file = std::fs::File::open("/etc/passwd").unwrap();
        let program = Program {
            file: file.as_fd(),
            arguments: vec![c"x".into()],
            environment: vec![],
            descriptors: vec![],
            cgroup_tasks: vec![],
            into_cgroup: None,
        };
        assert_eq!(program.start_detached().unwrap_err(), Errno::ACCESS);
    }
}
