//! The program `sandbar-oci`: `sandbar oci`, and nothing else.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    sandbar_cli::sandbar_oci()
}
