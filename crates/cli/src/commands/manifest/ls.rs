//! `sandbar manifest ls`.

use sandbar_image::ManifestList;
use serde_json::{Value, json};

use crate::cli::Exit;
use crate::commands::Format;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;
use crate::table::Table;

/// List manifest lists
#[derive(Debug, clap::Args)]
#[command(visible_alias = "list")]
pub(crate) struct Ls {
    /// Their names alone
    #[arg(short, long)]
    quiet: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    format: Format,
}

impl Ls {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let lists = context.images()?.lists().doing("list the manifest lists")?;
        if self.quiet {
            output::text(&lists.iter().map(|list| format!("{}\n", list.name)).collect::<String>())?;
        } else if self.format == Format::Json {
            output::json(&lists.iter().map(value).collect())?;
        } else {
            let mut table = Table::new(&["NAME", "PLATFORMS"]);
            for list in &lists {
                table.row([list.name.to_string(), platforms(list).join(", ")]);
            }
            output::text(&table.render())?;
        }
        Ok(Exit::SUCCESS)
    }
}

fn value(list: &ManifestList) -> Value {
    json!({ "Name": list.name.to_string(), "Platforms": platforms(list) })
}

fn platforms(list: &ManifestList) -> Vec<String> {
    list.members.iter().map(|member| member.platform.to_string()).collect()
}
