//! `sandbar oci list`.

use serde_json::Value;

use super::Context;
use super::record::Directory;
use crate::cli::Exit;
use crate::failure::{Doing, Result};
use crate::output;
use crate::table::Table;

/// List containers
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// How
    #[arg(short, long, value_enum, default_value_t = super::ps::Format::Table)]
    format: super::ps::Format,
    /// Ids alone
    #[arg(short, long)]
    quiet: bool,
}

impl List {
    pub(super) fn execute(self, context: &Context) -> Result<Exit> {
        let mut containers = Vec::new();
        for directory in directories(context)? {
            // One that is just being made or removed is none.
            if let Ok(Some(record)) = directory.find() {
                containers.push((directory.status(&record), record));
            }
        }
        if self.quiet {
            containers.iter().try_for_each(|(_, record)| output::line(&record.id))?;
        } else if self.format == super::ps::Format::Json {
            let shown = containers.iter().map(|(status, record)| record.shown(*status)).collect();
            output::json(&Value::Array(shown))?;
        } else {
            let mut table = Table::new(&["ID", "PID", "STATUS", "BUNDLE", "CREATED"]);
            for (status, record) in &containers {
                let pid = record.shown(*status)["pid"].to_string();
                let bundle = record.bundle.display().to_string();
                let status = status.as_str().to_owned();
                table.row([record.id.clone(), pid, status, bundle, record.created.to_string()]);
            }
            output::text(&table.render())?;
        }
        Ok(Exit::SUCCESS)
    }
}

fn directories(context: &Context) -> Result<Vec<Directory>> {
    let action = || format!("list {}", context.root.display());
    let entries = match std::fs::read_dir(&context.root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.doing(action())?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.doing(action())?.file_name().into_string());
    }
    names.sort();
    Ok(names.iter().filter_map(|name| Directory::new(&context.root, name).ok()).collect())
}
