//! Starts the embedded program, and looks at it from outside.
#![allow(dead_code, reason = "each test program uses its own part of this")]

mod refusal;

pub(crate) use refusal::Refusal;

use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// How long anything here may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(20);

/// The embedded program as a file, written once before the first start: a program can't be run while any
/// process, such as one that another thread is starting, has it open for writing.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let file = tempfile::NamedTempFile::new_in(folder).unwrap().into_temp_path();
        fs::write(&file, sandbar_pause::ELF).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let program = folder.join("pause");
        file.persist(&program).unwrap();
        program
    })
}

/// Waits until `done`, and panics with `what` should it take too long.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "still not after {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// A start of the program.
pub(crate) struct Pause(Command);

impl Pause {
    /// As itself.
    pub(crate) fn new() -> Self {
        Self::from_command(Command::new(program()))
    }

    /// Through a shell: `script` ends in `exec "$0"`.
    pub(crate) fn from_shell(script: &str) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(script).arg(program());
        Self::from_command(shell)
    }

    /// The program that cargo built of the same source.
    pub(crate) fn built_by_cargo() -> Self {
        Self::from_command(Command::new(env!("CARGO_BIN_EXE_pause")))
    }

    fn from_command(mut command: Command) -> Self {
        // Whatever is started, it is not while this is being written.
        program();
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.0.arg(argument);
        self
    }

    /// Under another name than its path.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.0.arg0(name);
        self
    }

    /// In a sandbox where the kernel refuses one system call.
    #[allow(unsafe_code, reason = "a filter is loaded between fork and exec")]
    pub(crate) fn refused(self, refusal: Refusal) -> Self {
        let filter = refusal.filter();
        // SAFETY: it makes two system calls, prctl and seccomp, on a filter that was built before the fork.
        unsafe { self.before_exec(move || seccompiler::apply_filter(&filter).is_ok()) }
    }

    /// With SIGINT and SIGTERM blocked by who starts it.
    #[allow(unsafe_code, reason = "a signal mask is set between fork and exec")]
    pub(crate) fn blocked(self) -> Self {
        // SAFETY: it calls async-signal-safe functions on a set on its own stack; all zeroes is a set.
        unsafe {
            self.before_exec(|| {
                let mut set = std::mem::zeroed();
                libc::sigemptyset(&raw mut set);
                libc::sigaddset(&raw mut set, libc::SIGINT);
                libc::sigaddset(&raw mut set, libc::SIGTERM);
                libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) == 0
            })
        }
    }

    /// In a process that has done `prepare`, which says whether it went well.
    ///
    /// # Safety
    /// `prepare` runs in a fork of a process with threads, so it neither allocates nor locks.
    #[allow(unsafe_code, reason = "what runs between fork and exec is unsafe")]
    pub(crate) unsafe fn before_exec(
        mut self,
        prepare: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let prepare = move || match prepare() {
            true => Ok(()),
            false => Err(std::io::Error::last_os_error()),
        };
        // SAFETY: the caller promises what pre_exec asks; the error is a number.
        unsafe { self.0.pre_exec(prepare) };
        self
    }

    /// Starts it.
    pub(crate) fn start(mut self) -> Running {
        Running { child: Some(self.0.spawn().unwrap()) }
    }

    /// Starts it and waits until it does nothing more by itself.
    pub(crate) fn settle(self) -> Running {
        let running = self.start();
        running.wait_until_settled();
        running
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Output {
        self.start().end()
    }
}

/// A started program; killed at the end of the test, should it still run.
pub(crate) struct Running {
    child: Option<Child>,
}

impl Running {
    pub(crate) fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn send(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits until all its handlers are set and it sleeps.
    pub(crate) fn wait_until_settled(&self) {
        let bit = |signal: Signal| 1_u64 << (signal.as_raw() - 1);
        wait_until("pause sleeps with its handlers set", || {
            let signals = |field| u64::from_str_radix(&self.status(field), 16).unwrap();
            signals("SigCgt") == bit(Signal::INT) | bit(Signal::TERM)
                && signals("SigIgn") & bit(Signal::CHILD) != 0
                && self.status("State").starts_with('S')
        });
    }

    /// A field of [proc_pid_status(5)](https://man7.org/linux/man-pages/man5/proc_pid_status.5.html).
    pub(crate) fn status(&self, field: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        value.unwrap_or_else(|| panic!("no {field} in {status}")).trim().to_owned()
    }

    /// How often it has gone to sleep, which is as often as it was woken, and once more.
    pub(crate) fn wakeups(&self) -> u64 {
        self.status("voluntary_ctxt_switches").parse().unwrap()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Output {
        let child = self.child();
        wait_until("pause ends", || child.try_wait().unwrap().is_some());
        self.child.take().unwrap().wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself; either way nothing of it is left.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Panics unless the program exited with `code` and wrote just `stdout` and `stderr`.
#[track_caller]
pub(crate) fn assert_output(output: &Output, code: i32, stdout: &str, stderr: &str) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).unwrap();
    assert_eq!(
        (output.status.code(), text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        (Some(code), stdout, stderr),
        "{}",
        output.status
    );
}

/// What the program says when it is not process 1.
pub(crate) const WARNING: &str = "Warning: pause should be the first process\n";
