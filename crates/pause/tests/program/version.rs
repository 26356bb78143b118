//! `-v` prints the version, wherever it is among the arguments, and does nothing else.

use crate::harness::{Pause, Refusal, WARNING, assert_output};
use rustix::process::Signal;
use sandbar_pause::VERSION;

#[track_caller]
fn assert_version(pause: Pause) {
    // It never comes to the handlers.
    let output = pause.refused(Refusal::Handler(Signal::INT)).run();
    assert_output(&output, 0, &format!("pause {VERSION}\n"), "");
}

#[test]
fn prints_the_version() {
    assert_version(Pause::new().argument("-v"));
}

#[test]
fn takes_either_case() {
    assert_version(Pause::new().argument("-V"));
}

#[test]
fn takes_any_place() {
    assert_version(Pause::new().argument("").argument("--").argument("-v"));
}

#[test]
fn ignores_other_arguments() {
    let mut pause = Pause::new().refused(Refusal::Handler(Signal::INT));
    for other in ["", "-", "v", "-vv", "--v", "-v ", "V", "--version", "-x"] {
        pause = pause.argument(other);
    }
    assert_output(&pause.run(), 1, "", WARNING);
}

#[test]
fn ignores_its_name() {
    let pause = Pause::new().named("-v").refused(Refusal::Handler(Signal::INT));
    assert_output(&pause.run(), 1, "", WARNING);
}

#[test]
fn runs_as_cargo_builds_it_too() {
    assert_version(Pause::built_by_cargo().argument("-v"));
}
