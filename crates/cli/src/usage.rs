//! What is said when the arguments make no sense, and help, which is asked for in the same way.

use std::error::Error as _;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::failure::{Failure, OWN_FAILURE};
use crate::output;

/// The exit code for arguments that make no sense.
const BAD_USAGE: u8 = 2;

/// Prints help if that was asked for, else what is wrong with the arguments.
pub(crate) fn refuse(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            match output::text(&error.render().to_string()) {
                Ok(()) | Err(Failure::PipeClosed) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        _ => {
            output::failure(&failure(error, arguments));
            ExitCode::from(code(arguments))
        }
    }
}

/// `run`, `create` and `exec` answer as Docker's do, so that no script takes it for the container's own code.
fn code(arguments: &[OsString]) -> u8 {
    match command(arguments).as_slice() {
        ["run" | "create" | "exec"] => OWN_FAILURE,
        _ => BAD_USAGE,
    }
}

/// The command's words.
fn command(arguments: &[OsString]) -> Vec<&str> {
    let mut words = arguments.iter().skip(1).filter_map(|argument| argument.to_str());
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "--root" | "--run-root" | "--cni-conf-dir" | "--cni-plugin-dir" => drop(words.next()),
            "--log" | "--log-format" => drop(words.next()),
            option if option.starts_with('-') && found.is_empty() => {}
            "pod" | "network" | "image" | "system" | "oci" if found.is_empty() => found.push(word),
            option if option.starts_with('-') => break,
            _ => {
                found.push(word);
                break;
            }
        }
    }
    found
}

fn failure(error: &clap::Error, arguments: &[OsString]) -> Failure {
    let mut words = command(arguments);
    if error.kind() == ErrorKind::InvalidSubcommand {
        // What is not known can't be asked for help.
        words.pop();
    }
    let command = ["sandbar"].into_iter().chain(words).collect::<Vec<_>>().join(" ");
    let suggested =
        [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue]
            .into_iter()
            .find_map(|kind| error.get(kind))
            .and_then(best);
    let hint = match suggested {
        Some(word) => format!("did you mean '{word}'? '{command} --help' shows all"),
        None => format!("see '{command} --help'"),
    };
    Failure::new(message(error)).hint(hint)
}

/// What is most like what was written: clap lists that last.
fn best(value: &ContextValue) -> Option<&str> {
    match value {
        ContextValue::String(word) => Some(word),
        ContextValue::Strings(words) => words.last().map(String::as_str),
        _ => None,
    }
}

/// What is wrong, in a line: our own words for a value, else the first paragraph of clap's.
fn message(error: &clap::Error) -> String {
    if let Some(source) = error.source() {
        let option = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(option)) => option.split_whitespace().next(),
            _ => None,
        };
        let source = source.to_string();
        // A reason of the standard library's does not name what it is about.
        let source = match error.get(ContextKind::InvalidValue) {
            Some(ContextValue::String(value)) if !source.contains(value.as_str()) => {
                format!("'{value}': {source}")
            }
            _ => source,
        };
        return match option.filter(|option| option.starts_with('-')) {
            Some(option) => format!("{option}: {source}"),
            None => source,
        };
    }
    let text = error.to_string();
    let paragraph = text.split("\n\n").next().unwrap_or(&text);
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        || error.kind() == ErrorKind::MissingSubcommand
    {
        return "a command is needed".to_owned();
    }
    let lines: Vec<&str> = paragraph.lines().map(str::trim).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    fn refused(line: &str) -> (u8, String) {
        let arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
        let error = Cli::try_parse_from(&arguments).unwrap_err();
        (code(&arguments), failure(&error, &arguments).lines())
    }

    #[test]
    fn bad_usage_is_125_for_what_runs_commands_and_2_for_the_rest() {
        for (line, expected) in [
            ("sandbar run --nope x", 125),
            ("sandbar --root /x run", 125),
            ("sandbar create", 125),
            ("sandbar exec", 125),
            ("sandbar ps --nope", 2),
            ("sandbar pod create --nope", 2),
            ("sandbar nope", 2),
        ] {
            let (code, lines) = refused(line);
            assert_eq!(code, expected, "{line}");
            assert!(lines.starts_with("sandbar: "), "{lines}");
            assert!(lines.lines().count() <= 2, "{lines}");
        }
    }

    #[test]
    fn what_is_said_is_ours() {
        let (_, lines) = refused("sandbar run -v /data x");
        assert!(lines.starts_with("sandbar: --volume: volume '/data': "), "{lines}");
        assert!(lines.ends_with("hint: see 'sandbar run --help'\n"), "{lines}");
        let (_, lines) = refused("sandbar pod strat x");
        assert!(lines.contains("did you mean 'start'? 'sandbar pod --help'"), "{lines}");
        let (_, lines) = refused("sandbar pod");
        assert_eq!(lines, "sandbar: a command is needed\nhint: see 'sandbar pod --help'\n");
        let (_, lines) = refused("sandbar stop");
        assert!(lines.contains("<NAME>"), "{lines}");
    }
}
