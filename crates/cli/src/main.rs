//! The program `sandbar`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    sandbar_cli::sandbar()
}
