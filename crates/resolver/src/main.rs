//! The resolver as a program of its own, to try and test it; `sandbar` is the same under this name.

use std::process::ExitCode;

fn main() -> ExitCode {
    match sandbar_resolver::resolve(std::env::args_os().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[allow(clippy::print_stderr, reason = "a program, not the library")]
            {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}
