//! The command line: arguments in, calls to the engine, and what they come to in words and an exit code.
//!
//! There are two programs of it. `sandbar` is the whole. `sandbar-oci` is its OCI runtime alone: all that it does not
//! use is left out of it, so it starts sooner and takes less memory (docs/design/0007-a-program-for-oci.md).
//!
//! Arguments are parsed purely (`values`, `options`), then resolved into the engine's own options, then one
//! of the `commands` runs. Nothing below this crate prints or exits; here only `output` prints, and only
//! `failure` makes messages of errors.
#![forbid(unsafe_code)]

mod amended;
mod attach;
mod building;
mod cli;
mod commands;
mod context;
mod failure;
mod flow;
mod human;
mod inspect;
mod oci;
mod options;
mod output;
mod progress;
mod remote;
mod sending;
mod stdio;
mod table;
mod terminal;
mod usage;
mod values;
mod whole;

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

/// What the engine calls this program when it starts it as a pod's supervisor.
const SUPERVISOR: &str = "sandbar-supervisor";

/// The program `sandbar`: the whole of the command line, a pod's supervisor, a network's resolver and, under the name
/// `sandbar-oci`, an OCI runtime.
#[must_use]
pub fn sandbar() -> ExitCode {
    let mut arguments = std::env::args_os();
    // First of all: a supervisor lives as long as its pod, and what is touched before this stays in its memory.
    let name = arguments.next();
    if name.as_deref() == Some(OsStr::new(SUPERVISOR)) {
        return supervisor(arguments);
    }
    if name.as_deref() == Some(OsStr::new(sandbar_resolver::PROGRAM_NAME)) {
        return resolver(arguments);
    }
    cli::main()
}

/// The program `sandbar-oci`: an OCI runtime, whatever it is called.
#[must_use]
pub fn sandbar_oci() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    oci::main(&arguments)
}

fn supervisor(arguments: std::env::ArgsOs) -> ExitCode {
    match sandbar_engine::supervise(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let failure = failure::Failure::of("supervise the pod", error);
            output::failure(&failure);
            ExitCode::FAILURE
        }
    }
}

fn resolver(arguments: std::env::ArgsOs) -> ExitCode {
    match sandbar_resolver::resolve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::failure(&failure::Failure::of("resolve the network's names", error));
            ExitCode::FAILURE
        }
    }
}
