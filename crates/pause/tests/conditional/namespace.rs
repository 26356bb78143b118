//! As process 1 of a PID namespace, which signals from inside reach only if there is a handler.

use crate::{
    Test,
    harness::{Pause, assert_output},
};
use rustix::{
    io::Errno,
    process::Signal,
    thread::{UnshareFlags, unshare_unsafe},
};
use std::{
    process::{Command, ExitStatus},
    thread,
};

pub(crate) const TESTS: &[Test] = &[
    Test { name: "namespace::sigint_ends_it", run: sigint_ends_it, missing },
    Test { name: "namespace::sigterm_ends_it", run: sigterm_ends_it, missing },
    Test {
        name: "namespace::sigterm_from_inside_ends_it",
        run: sigterm_from_inside_ends_it,
        missing,
    },
    Test {
        name: "namespace::other_signals_from_inside_do_not",
        run: other_signals_from_inside_do_not,
        missing,
    },
];

/// Makes this thread's next child process 1 of a new PID namespace, and those after it members.
#[allow(unsafe_code, reason = "rustix has no safe unshare")]
fn enter() -> Result<(), Errno> {
    // SAFETY: unsafe is to unshare the file descriptors, which stay shared.
    unsafe { unshare_unsafe(UnshareFlags::NEWPID) }
}

/// Runs `test` on a thread of its own whose first child is process 1 of a new PID namespace.
pub(crate) fn in_namespace(test: fn()) {
    let thread = thread::spawn(move || {
        enter().unwrap();
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Why no PID namespace can be made here, if so.
pub(crate) fn missing() -> Option<String> {
    let refused = thread::spawn(enter).join().ok()?.err()?;
    Some(format!("a PID namespace cannot be made (root can): unshare(CLONE_NEWPID): {refused}"))
}

/// Runs `script` as a member of the namespace; it may not live to see its end.
fn inside(script: &str) -> ExitStatus {
    Command::new("/bin/sh").args(["-c", script]).status().unwrap()
}

fn sigint_ends_it() {
    in_namespace(|| {
        let running = Pause::new().settle();
        running.send(Signal::INT);
        assert_output(&running.end(), 0, "", "Shutting down, got signal: Interrupt\n");
    });
}

fn sigterm_ends_it() {
    in_namespace(|| {
        let running = Pause::new().settle();
        running.send(Signal::TERM);
        assert_output(&running.end(), 0, "", "Shutting down, got signal: Terminated\n");
    });
}

fn sigterm_from_inside_ends_it() {
    in_namespace(|| {
        let running = Pause::new().settle();
        inside("kill -TERM 1");
        assert_output(&running.end(), 0, "", "Shutting down, got signal: Terminated\n");
    });
}

fn other_signals_from_inside_do_not() {
    in_namespace(|| {
        let running = Pause::new().settle();
        let before = running.wakeups();
        let script =
            "for signal in HUP QUIT USR1 ALRM CHLD KILL STOP; do kill -$signal 1 || exit; done";
        assert!(inside(script).success());
        // It may have been seen as asleep just before it was counted as such.
        assert!(running.wakeups() <= before + 1, "they woke it");
        running.send(Signal::TERM);
        assert_output(&running.end(), 0, "", "Shutting down, got signal: Terminated\n");
    });
}
