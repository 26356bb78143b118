//! The project's own programs, built by cargo.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell;

/// The folder of the workspace.
pub(crate) fn workspace() -> &'static Path {
    // Where this crate was compiled from; `cargo xtask` compiles it wherever the workspace is.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The cargo that runs this, at the top of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(workspace());
    command
}

/// Builds `sandbar` and `blog` as they are released, and returns where they are, by name.
pub(crate) fn release() -> Result<BTreeMap<String, PathBuf>> {
    built(&["build", "--release", "--package", "sandbar", "--package", "blog"])
}

/// Has cargo build something, and returns where the executables are, by name.
pub(crate) fn built(arguments: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
    let mut command = cargo();
    command.args(arguments);
    shell::show(&shell::line(&command));
    let output = command
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("can't run cargo")?;
    if !output.status.success() {
        bail!("the build failed: {}", output.status);
    }
    let messages = String::from_utf8(output.stdout).context("cargo wrote no text")?;
    executables(&messages)
}

/// The executables that cargo's messages tell of.
fn executables(messages: &str) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).context("cargo wrote no JSON")?;
        let name = message["target"]["name"].as_str();
        if let (Some(name), Some(path)) = (name, message["executable"].as_str()) {
            found.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_those_that_cargo_tells_of() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"blog"},"executable":"/t/release/blog"}
{"reason":"build-finished","success":true}"#;
        let found = executables(messages).unwrap();
        assert_eq!(found, BTreeMap::from([("blog".to_owned(), PathBuf::from("/t/release/blog"))]));
        assert!(executables("nonsense").is_err());
    }

    #[test]
    fn the_workspace_has_this_crate() {
        assert!(workspace().join("xtask/Cargo.toml").is_file());
    }
}
