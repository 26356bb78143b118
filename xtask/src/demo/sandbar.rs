//! The `sandbar` command that was just built, in the words of a shell.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{build, shell};

/// The command, and where it keeps things if not in the usual place.
#[derive(Debug)]
pub(crate) struct Sandbar {
    folder: PathBuf,
    roots: Option<(PathBuf, PathBuf)>,
}

impl Sandbar {
    pub(crate) fn new(program: &Path, root: Option<PathBuf>) -> Self {
        let folder = program.parent().unwrap_or(Path::new("/")).to_owned();
        let sandbar = Self { folder, roots: root.map(|root| (root.join("lib"), root.join("run"))) };
        shell::show(&format!("cd {}", shell::quote(build::workspace().as_os_str())));
        shell::show(&format!("export PATH={}:$PATH", shell::quote(sandbar.folder.as_os_str())));
        if let Some((root, run_root)) = &sandbar.roots {
            let (root, run_root) = (root.as_os_str(), run_root.as_os_str());
            let variables = [("SANDBAR_ROOT", root), ("SANDBAR_RUN_ROOT", run_root)];
            for (name, value) in variables {
                shell::show(&format!("export {name}={}", shell::quote(value)));
            }
        }
        sandbar
    }

    /// A line for the shell, where `sandbar` is the command that was just built.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = vec![self.folder.clone()];
        folders.extend(std::env::split_paths(&path));
        // No folder's name has a colon here: the first was cargo's, the others were in PATH.
        let path = std::env::join_paths(folders).unwrap_or(path);
        command.args(["-c", line]).env("PATH", path).current_dir(build::workspace());
        // A shell keeps PWD as it is given to it where that means the same folder.
        command.env("PWD", build::workspace());
        if let Some((root, run_root)) = &self.roots {
            command.env("SANDBAR_ROOT", root).env("SANDBAR_RUN_ROOT", run_root);
        }
        command
    }

    /// Shows a line, then runs it.
    pub(crate) fn show_and_run(&self, line: &str) -> Result<()> {
        shell::show(line);
        shell::run(&mut self.command(line)).with_context(|| format!("'{line}' failed"))
    }

    fn json(&self, line: &str) -> Result<Value> {
        let text = shell::output(&mut self.command(line))?;
        serde_json::from_str(&text).with_context(|| format!("'{line}' wrote no JSON"))
    }

    /// The names of all containers.
    pub(crate) fn names_of_containers(&self) -> Result<Vec<String>> {
        let list = self.json("sandbar ps --all --format json")?;
        let containers = list.as_array().context("'sandbar ps' wrote no list")?;
        let names = containers.iter().filter_map(|container| container["Names"].as_array());
        Ok(names.flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// The names of all images.
    pub(crate) fn names_of_images(&self) -> Result<Vec<String>> {
        let list = self.json("sandbar images --format json")?;
        let images = list.as_array().context("'sandbar images' wrote no list")?;
        let names = images.iter().filter_map(|image| image["RepoTags"].as_array());
        Ok(names.flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// The process of a running container.
    pub(crate) fn pid_of(&self, name: &str) -> Result<u32> {
        let inspected = self.json(&format!("sandbar inspect {name}"))?;
        let pid = inspected[0]["State"]["Pid"].as_u64();
        let pid = pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
        pid.with_context(|| format!("'sandbar inspect {name}' tells no Pid"))
    }
}
