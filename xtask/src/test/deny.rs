//! What the workspace depends on: `deny.toml` says what may be, cargo-deny checks.

use std::env::temp_dir;
use std::process::Command;

use anyhow::Result;

use super::step::Outcome;
use crate::build::cargo;
use crate::shell;

/// The version that `deny.toml` is written for.
const VERSION: &str = "^0.20";

/// Licences, sources, versions, and which crate may use which.
pub(crate) fn policy() -> Outcome {
    let check = ["deny", "--locked", "check", "bans", "licenses", "sources"];
    installed().and_then(|()| shell::show_and_run(cargo().args(check))).into()
}

/// Known faults of what is used. Their list is not on crates.io: where it can't be had they can't be checked.
pub(crate) fn advisories() -> Outcome {
    let mut fetch = Command::new("timeout");
    fetch.current_dir(crate::build::workspace()).args(["120", "cargo", "deny", "fetch", "db"]);
    shell::show(&shell::line(&fetch));
    if let Err(error) = shell::output(&mut fetch) {
        println!("{error:#}");
        return Outcome::Skipped("the advisory database can't be fetched".to_owned());
    }
    let check = ["deny", "--locked", "--offline", "check", "advisories"];
    shell::show_and_run(cargo().args(check)).into()
}

fn installed() -> Result<()> {
    if shell::succeeds(cargo().args(["deny", "--version"])) {
        return Ok(());
    }
    let mut install = Command::new("cargo");
    // Away from the workspace, whose .cargo/config.toml is for the project's own programs.
    install.current_dir(temp_dir());
    install.args(["install", "--locked", "--version", VERSION, "cargo-deny"]);
    shell::show_and_run(&mut install)
}
