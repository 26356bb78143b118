//! The whole of the arguments, and the way from them to an exit code.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::commands::Command;
use crate::context::Context;
use crate::{oci, output, usage};

/// Pods on one Linux machine
#[derive(Debug, Parser)]
#[command(name = "sandbar", version, disable_help_subcommand = true, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command can be told.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// What is kept: images, volumes [env: SANDBAR_ROOT]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Gone at reboot: pods [env: SANDBAR_RUN_ROOT]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) run_root: Option<PathBuf>,
    /// Put new pods on the CNI network configured here
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cni_conf_dir: Option<PathBuf>,
    /// CNI plugins [default: /usr/lib/cni:/opt/cni/bin]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        value_delimiter = ':',
        requires = "cni_conf_dir"
    )]
    pub(crate) cni_plugin_dir: Vec<PathBuf>,
}

/// How a command ended that did what it was asked: 0, or the code of what it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exit(pub(crate) u8);

impl Exit {
    /// All is well.
    pub(crate) const SUCCESS: Self = Self(0);
}

/// Parses, runs, and says what went wrong if something did.
pub(crate) fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(arguments) = oci::arguments(&arguments) {
        return oci::main(&arguments);
    }
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage::refuse(&error, &arguments),
    };
    let code_of_failure = cli.command.code_of_failure();
    let context = Context::new(cli.global, |name| std::env::var_os(name));
    match cli.command.execute(&context) {
        Ok(exit) => ExitCode::from(exit.0),
        Err(failure) => {
            output::failure(&failure);
            ExitCode::from(failure.code(code_of_failure))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_79_columns() {
        fn check(command: &mut clap::Command, wide: &mut Vec<String>) {
            // What `-h` prints, and what `--help` does.
            let help = format!("{}{}", command.render_help(), command.render_long_help());
            wide.extend(help.lines().filter(|line| line.len() > 79).map(str::to_owned));
            command.get_subcommands_mut().for_each(|command| check(command, wide));
        }
        let mut command = Cli::command();
        command.build();
        let mut wide = Vec::new();
        check(&mut command, &mut wide);
        assert_eq!(wide, Vec::<String>::new());
    }

    #[test]
    fn every_command_and_option_has_help() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {argument}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
