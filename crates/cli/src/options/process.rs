//! What runs, as whom, where, and with what environment.

use std::path::PathBuf;

use sandbar_engine::ContainerOptions;

use super::Surroundings;
use crate::failure::{Doing, Failure, Result};
use crate::values::{Entrypoint, Variable, parse_file};

/// What runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Process {
    /// Set a variable; the caller's value without '='
    #[arg(short, long = "env", value_name = "NAME[=VALUE]")]
    env: Vec<Variable>,
    /// Set the variables of a file, one a line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// The working directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// The user, by name or number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// The program in place of the image's
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<Entrypoint>,
    /// Keep standard input open
    #[arg(short, long)]
    pub(crate) interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
}

impl Process {
    /// Into the engine's options.
    pub(crate) fn resolve(
        self,
        options: &mut ContainerOptions,
        around: &Surroundings,
    ) -> Result<()> {
        options.environment = environment(self.env, &self.env_file, around)?;
        options.working_directory = working_directory(self.workdir)?;
        options.user = self.user;
        options.entrypoint = self.entrypoint.map(|entrypoint| entrypoint.0);
        options.interactive = self.interactive;
        options.terminal = self.tty;
        Ok(())
    }
}

/// The variables of the files, then those of the options, which so come first in what counts.
pub(crate) fn environment(
    variables: Vec<Variable>,
    files: &[PathBuf],
    around: &Surroundings,
) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for path in files {
        let action = || format!("read the environment file {}", path.display());
        let text = (around.file)(path).doing(action())?;
        all.extend(parse_file(&text).doing(action())?);
    }
    all.extend(variables);
    let mut environment = Vec::new();
    for variable in all {
        environment.extend(variable.resolve(around.variable).doing("pass the environment on")?);
    }
    Ok(environment)
}

/// The working directory, which must be absolute.
pub(crate) fn working_directory(path: Option<PathBuf>) -> Result<Option<PathBuf>> {
    match &path {
        Some(relative) if !relative.is_absolute() => Err(Failure::new(format!(
            "the working directory '{}' is not absolute",
            relative.display()
        ))),
        _ => Ok(path),
    }
}
