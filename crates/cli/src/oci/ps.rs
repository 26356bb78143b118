//! `sandbar oci ps`.

use std::process::Command;

use serde_json::json;

use super::Context;
use super::record::Directory;
use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};
use crate::output;

/// How something is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Show a container's processes
#[derive(Debug, clap::Args)]
pub(super) struct Ps {
    /// How
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// The container's id
    id: String,
    /// Options of ps(1)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTION")]
    options: Vec<String>,
}

impl Ps {
    pub(super) fn execute(self, context: &Context) -> Result<Exit> {
        let record = Directory::new(&context.root, &self.id)?.record()?;
        let action = format!("list the processes of container {}", self.id);
        let processes = record.cgroup.cgroup()?.processes().doing(&action)?;
        let numbers: Vec<i32> = processes.iter().map(|pid| pid.as_raw_nonzero().get()).collect();
        if self.format == Format::Json {
            output::line(json!(numbers))?;
            return Ok(Exit::SUCCESS);
        }
        let options = if self.options.is_empty() { vec!["-ef".to_owned()] } else { self.options };
        let listed = Command::new("ps").args(&options).output().doing("run ps")?;
        if !listed.status.success() {
            let said = String::from_utf8_lossy(&listed.stderr);
            return Err(Failure::new(format!("cannot {action}: ps: {}", said.trim())));
        }
        output::text(&of(&String::from_utf8_lossy(&listed.stdout), &numbers)?)?;
        Ok(Exit::SUCCESS)
    }
}

/// The heading of what ps listed, and the lines of the processes `numbers`.
fn of(listed: &str, numbers: &[i32]) -> Result<String> {
    let mut lines = listed.lines();
    let heading = lines.next().unwrap_or_default();
    let Some(column) = heading.split_whitespace().position(|name| name == "PID") else {
        return Err(Failure::new("what ps shows has no column PID")
            .hint("choose options of ps with which it has one"));
    };
    let is_of = |line: &&str| {
        let number = line.split_whitespace().nth(column).and_then(|field| field.parse().ok());
        number.is_some_and(|number: i32| numbers.contains(&number))
    };
    let kept = std::iter::once(heading).chain(lines.filter(is_of));
    Ok(kept.map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heading_and_the_containers_own_are_shown() {
        let listed = "UID   PID CMD\nroot  12 sh 7\nroot  7 init\n";
        assert_eq!(of(listed, &[7]).unwrap(), "UID   PID CMD\nroot  7 init\n");
        assert!(of("UID CMD\n", &[7]).is_err());
    }
}
