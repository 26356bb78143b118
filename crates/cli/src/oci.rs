//! `sandbar oci`: an OCI runtime with runc's command line, for Podman, containerd, Docker and others to call.
//!
//! What a container is made of is in its bundle; what this keeps of it is below `--root`, a directory a container
//! ([`record`]). Nothing runs on for a container but the container itself.

mod bundle;
mod cgroups;
mod console;
mod consumption;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod json;
mod kill;
mod list;
mod log;
mod options;
mod pause;
mod process;
mod ps;
mod record;
mod run;
mod safety;
mod scope;
mod spec;
mod start;
mod state;
mod update;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cli::Exit;
use crate::failure::{Failure, Result};
use crate::usage;
use log::{Format, Log};

/// What this program may be called to be an OCI runtime alone.
const NAME: &str = "sandbar-oci";

/// Where containers are recorded unless `--root` says otherwise.
const ROOT: &str = "/run/sandbar/oci";

/// An OCI runtime with runc's command line
#[derive(Debug, Parser)]
#[command(
    name = "sandbar oci",
    version,
    disable_help_subcommand = true,
    subcommand_required = true
)]
struct Oci {
    /// Where containers are recorded [default: /run/sandbar/oci]
    #[arg(long, value_name = "DIR", global = true)]
    root: Option<PathBuf>,
    /// Write what goes wrong to this file too
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// How
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    log_format: Format,
    /// Write what is done without, too
    #[arg(long)]
    debug: bool,
    /// Have systemd make cgroups, of slice:prefix:name
    #[arg(long)]
    systemd_cgroup: bool,
    #[command(subcommand)]
    command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Create),
    Start(start::Start),
    State(state::State),
    Kill(kill::Kill),
    Delete(delete::Delete),
    Run(run::Run),
    Exec(Box<exec::Exec>),
    List(list::List),
    Ps(ps::Ps),
    Pause(pause::Pause),
    Resume(pause::Resume),
    Update(Box<update::Update>),
    Events(events::Events),
    Spec(spec::Spec),
    Features(features::Features),
    #[command(hide = true, name = scope::COMMAND)]
    Scope(scope::Placeholder),
}

/// Where a command works, and where it says what is worth knowing.
#[derive(Debug)]
struct Context {
    root: PathBuf,
    log: Log,
    /// Whether systemd makes the cgroups of new containers; with others it is as with their creation.
    systemd_cgroup: bool,
}

/// Whether `arguments` (with the program's name) are for an OCI runtime; then those without what says so.
pub(crate) fn arguments(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let (program, rest) = arguments.split_first()?;
    if Path::new(program).file_name() == Some(OsStr::new(NAME)) {
        return Some(rest.to_vec());
    }
    let (first, rest) = rest.split_first()?;
    (first == "oci").then(|| rest.to_vec())
}

/// Parses, runs, and says what went wrong if something did.
pub(crate) fn main(arguments: &[OsString]) -> ExitCode {
    // What the program does before it goes on from elsewhere, it does twice. Whether it has to is seen by the command
    // itself; a word that only looks like one costs a moment.
    if arguments.iter().any(|word| word == "create" || word == "run" || word == "exec") {
        let _told_by_the_command = safety::protect_program();
    }
    // What the caller has open is for the container's program, if for anybody, and no hook's.
    let _without_such_a_call = sandbar_sys::mark_close_on_exec_from(3);
    let with = |words: &[&str]| -> Vec<OsString> {
        words.iter().map(OsString::from).chain(arguments.iter().cloned()).collect()
    };
    let oci = match Oci::try_parse_from(with(&["sandbar oci"])) {
        Ok(oci) => oci,
        Err(error) => return usage::refuse(&error, &with(&["sandbar", "oci"])),
    };
    let context = Context {
        root: oci.root.unwrap_or_else(|| ROOT.into()),
        log: Log::new(oci.log, oci.log_format, oci.debug),
        systemd_cgroup: oci.systemd_cgroup,
    };
    match oci.command.execute(&context) {
        Ok(Exit(code)) => ExitCode::from(code),
        Err(failure) => {
            context.log.failure(&failure);
            ExitCode::from(failure.code(1))
        }
    }
}

impl Command {
    fn execute(self, context: &Context) -> Result<Exit> {
        match self {
            Self::Create(command) => command.execute(context),
            Self::Start(command) => command.execute(context),
            Self::State(command) => command.execute(context),
            Self::Kill(command) => command.execute(context),
            Self::Delete(command) => command.execute(context),
            Self::Run(command) => command.execute(context),
            Self::Exec(command) => command.execute(context),
            Self::List(command) => command.execute(context),
            Self::Ps(command) => command.execute(context),
            Self::Pause(command) => command.execute(context),
            Self::Resume(command) => command.execute(context),
            Self::Update(command) => command.execute(context),
            Self::Events(command) => command.execute(context),
            Self::Spec(command) => command.execute(),
            Self::Features(command) => command.execute(),
            Self::Scope(command) => command.execute(),
        }
    }
}

/// A failure of the runtime, in the words by which engines know what went wrong.
fn failure_of_start(action: &str, program: &str, error: &sandbar_runtime::Error) -> Failure {
    use sandbar_runtime::Kind;
    let text = error.one_line();
    match error.kind() {
        // Podman and Docker make 127 and 126 of these words.
        Kind::CommandNotFound => Failure::new(format!(
            "cannot {action}: exec: {program:?}: no such file or directory: {text}"
        )),
        Kind::CommandNotExecutable => {
            Failure::new(format!("cannot {action}: exec: {program:?}: permission denied: {text}"))
        }
        _ => Failure::new(format!("cannot {action}: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Oci::command().debug_assert();
    }

    #[test]
    fn it_is_reached_by_a_name_of_its_own_or_by_a_word() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let found = |line: &str| arguments(&words(line));
        assert_eq!(found("/usr/bin/sandbar-oci --root /r list"), Some(words("--root /r list")));
        assert_eq!(found("sandbar oci list"), Some(words("list")));
        assert_eq!(found("sandbar ps"), None);
        assert_eq!(found("sandbar --root oci ps"), None);
    }
}
