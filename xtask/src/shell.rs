//! Other programs: each command is shown as one would type it, then run.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// A heading before what belongs together.
pub(crate) fn heading(text: &str) {
    println!("\n=== {text}");
}

/// Shows a command, without running it.
pub(crate) fn show(line: &str) {
    println!("\n$ {line}");
}

/// Runs a command that has to succeed. Its input is empty: no chore asks questions.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("can't run {}", line(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", line(command));
    }
    Ok(())
}

/// Shows a command, then runs it.
pub(crate) fn show_and_run(command: &mut Command) -> Result<()> {
    show(&line(command));
    run(command)
}

/// What a command that has to succeed writes on its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("can't run {}", line(command)))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed: {}\n{}", line(command), output.status, told.trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} wrote no text", line(command)))
}

/// Whether a command can be run and succeeds; what it writes is of no interest.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// A command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        value.map(|value| format!("{}={} ", name.display(), quote(value)))
    });
    let mut line: String = variables.collect();
    line.push_str(&quote(command.get_program()));
    for argument in command.get_args() {
        // A String takes all that is written to it.
        let _taken = write!(line, " {}", quote(argument));
    }
    line
}

/// A word as a shell has to be given it.
pub(crate) fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=+:,./@%^".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_typed() {
        let mut command = Command::new("sh");
        command.args(["-c", "it's; $x", ""]).env("A", "b c").env_remove("HOME");
        assert_eq!(line(&command), r"A='b c' sh -c 'it'\''s; $x' ''");
    }

    #[test]
    fn what_failed_is_told_with_its_words() {
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        let told = error.to_string();
        assert!(told.contains("exit status: 3") && told.ends_with("why"), "{told}");
        assert!(run(Command::new("/does/not/exist").arg("x")).is_err());
    }
}
