//! SIGINT and SIGTERM end it, with a message and exit code 0, however it was started.

use crate::harness::{Pause, Running, WARNING, assert_output, wait_until};
use rustix::process::Signal;
use std::process::Output;

const INTERRUPT: &str = "Shutting down, got signal: Interrupt\n";
const TERMINATED: &str = "Shutting down, got signal: Terminated\n";

#[track_caller]
fn assert_ends(running: Running, signal: Signal, message: &str) {
    running.send(signal);
    assert_output(&running.end(), 0, "", &format!("{WARNING}{message}"));
}

#[test]
fn sigint_ends_it() {
    assert_ends(Pause::new().settle(), Signal::INT, INTERRUPT);
}

#[test]
fn sigterm_ends_it() {
    assert_ends(Pause::new().settle(), Signal::TERM, TERMINATED);
}

#[test]
fn a_signal_ends_what_cargo_builds_too() {
    assert_ends(Pause::built_by_cargo().settle(), Signal::TERM, TERMINATED);
}

#[test]
fn a_signal_that_was_blocked_before_exec_ends_it() {
    assert_ends(Pause::new().blocked().settle(), Signal::INT, INTERRUPT);
    assert_ends(Pause::new().blocked().settle(), Signal::TERM, TERMINATED);
}

#[test]
fn a_signal_that_was_ignored_before_exec_ends_it() {
    let ignoring = || Pause::from_shell("trap '' INT TERM CHLD; exec \"$0\"").settle();
    assert_ends(ignoring(), Signal::INT, INTERRUPT);
    assert_ends(ignoring(), Signal::TERM, TERMINATED);
}

#[test]
fn a_stop_and_a_continue_leave_it_waiting() {
    let running = Pause::new().settle();
    running.send(Signal::STOP);
    wait_until("pause stops", || running.status("State").starts_with('T'));
    running.send(Signal::CONT);
    running.wait_until_settled();
    assert_ends(running, Signal::TERM, TERMINATED);
}

#[test]
fn with_nobody_to_read_its_last_words_it_exits_0_too() {
    let mut running = Pause::new().settle();
    drop(running.child().stderr.take());
    running.send(Signal::TERM);
    let Output { status, .. } = running.end();
    assert_eq!(status.code(), Some(0), "{status}");
}

#[test]
fn with_its_outputs_closed_it_exits_0_too() {
    let running = Pause::from_shell("exec \"$0\" <&- >&- 2>&-").settle();
    running.send(Signal::TERM);
    assert_output(&running.end(), 0, "", "");
}
