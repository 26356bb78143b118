//! `sandbar exec`.

use std::os::fd::AsFd;
use std::path::PathBuf;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::stdio::{stdin, stdout};
use rustix::termios::isatty;
use sandbar_engine::ExecOptions;
use sandbar_spec::SignalNumber;

use crate::attach::{Attachment, signals};
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::flow::{AtEnd, Flow};
use crate::options::{Surroundings, environment, working_directory};
use crate::output;
use crate::stdio::{self, Stdio};
use crate::terminal::{self, RawMode};
use crate::values::Variable;

/// Run a further command in a running container
#[derive(Debug, clap::Args)]
#[command(override_usage = "sandbar exec [OPTIONS] NAME COMMAND...")]
pub(crate) struct Exec {
    /// Pass standard input on
    #[arg(short, long)]
    interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// Set a variable; the caller's value without '='
    #[arg(short, long, value_name = "NAME[=VALUE]")]
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
    /// The container, then the command
    #[arg(value_name = "NAME COMMAND", required = true, trailing_var_arg = true)]
    words: Vec<String>,
}

impl Exec {
    /// The container's name and the engine's options.
    fn resolve(self, around: &Surroundings) -> Result<(String, ExecOptions)> {
        let mut words = self.words.into_iter();
        let name = words.next().unwrap_or_default();
        let command: Vec<String> = words.collect();
        if command.is_empty() {
            return Err(Failure::new(format!("what is to be run in {name}?"))
                .hint(format!("sandbar exec {name} COMMAND")));
        }
        let size = terminal::size().map(|size| (size.ws_row, size.ws_col));
        let options = ExecOptions {
            command,
            environment: environment(self.env, &self.env_file, around)?,
            working_directory: working_directory(self.workdir)?,
            user: self.user,
            terminal: self.tty,
            size: size.filter(|_| self.tty),
        };
        Ok((name, options))
    }

    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let interactive = self.interactive;
        let (name, options) = self.resolve(&Surroundings::REAL)?;
        let program = options.command.first().map_or("", String::as_str);
        let action = format!("run {program} in {name}");
        let engine = context.engine()?;
        let container = engine.container(&name).doing(&action)?;
        let given = match options.terminal {
            true => Stdio::null()?,
            false => Stdio::of_caller(interactive)?,
        };
        let signals = signals(options.terminal)?;
        let exec = engine.exec(&container, &options, given.given()).doing(&action)?;
        exec.told.iter().for_each(|told| output::note(told));
        let mut flows = given.into_flows();
        let mut raw = None;
        if let Some(terminal) = &exec.terminal {
            let own = || terminal.try_clone().doing("use the command's terminal");
            flows.push(Flow::output(own()?, stdio::own(stdout())?)?);
            if interactive {
                let at_end = if isatty(stdin()) { AtEnd::Close } else { AtEnd::ControlD };
                flows.push(Flow::input(stdio::own(stdin())?, own()?, at_end)?);
                raw = if isatty(stdout()) { RawMode::enter()? } else { None };
            }
        }
        // Opened while the process is there or is a zombie, it never means another.
        let process = Pid::from_raw(exec.pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let over = Attachment {
            ended: exec.as_fd(),
            log: None,
            flows,
            terminal: exec.terminal.as_ref().map(AsFd::as_fd),
            signals,
            forward: &|signal| {
                if let (Some(Ok(process)), Some(signal)) = (&process, named(signal)) {
                    // It may have ended meanwhile: that is seen at once.
                    let _ended = pidfd_send_signal(process, signal);
                }
            },
        }
        .run();
        drop(raw);
        over?.exit(|| exec.wait().doing("learn how the command ended"))
    }
}

fn named(signal: SignalNumber) -> Option<Signal> {
    Signal::from_named_raw(signal.get())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::path::Path;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        exec: Exec,
    }

    fn resolve(line: &str) -> Result<(String, ExecOptions)> {
        let words = ["exec"].into_iter().chain(line.split(' '));
        Line::try_parse_from(words).unwrap().exec.resolve(&Surroundings::OF_TEST)
    }

    #[test]
    fn what_follows_the_name_is_the_commands_own() {
        let (name, options) = resolve("-e A=1 -e SHELL -w /srv -u app web ls -i -t").unwrap();
        assert_eq!(name, "web");
        assert_eq!(options.command, ["ls", "-i", "-t"]);
        assert_eq!(options.environment, ["A=1", "SHELL=/bin/ash"]);
        assert_eq!(options.working_directory.as_deref(), Some(Path::new("/srv")));
        assert_eq!(options.user.as_deref(), Some("app"));
        assert!(!options.terminal);
    }

    #[test]
    fn a_command_is_needed() {
        let failure = resolve("web").unwrap_err();
        assert_eq!(failure.code(125), 125);
        assert!(failure.lines().contains("sandbar exec web COMMAND"));
    }
}
