//! Each thing that the kernel may refuse has an exit code of its own.

use crate::harness::{Pause, Refusal, WARNING, assert_output};
use rustix::process::Signal;

#[track_caller]
fn assert_exit(refusal: Refusal, code: i32, message: &str) {
    let output = Pause::new().refused(refusal).run();
    assert_output(&output, code, "", &format!("{WARNING}{message}"));
}

#[test]
fn without_a_handler_for_sigint_exits_1() {
    assert_exit(Refusal::Handler(Signal::INT), 1, "");
}

#[test]
fn without_a_handler_for_sigterm_exits_2() {
    assert_exit(Refusal::Handler(Signal::TERM), 2, "");
}

#[test]
fn without_ignoring_sigchld_exits_3() {
    assert_exit(Refusal::Handler(Signal::CHILD), 3, "");
}

#[test]
fn a_wait_that_ends_exits_42() {
    assert_exit(Refusal::Wait, 42, "Error: infinite loop terminated\n");
}
