//! `sandbar network prune`.

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Remove all networks that no pod is on, and print their names
#[derive(Debug, clap::Args)]
pub(crate) struct Prune {
    /// Don't ask; nothing is asked without it, either
    #[arg(short, long)]
    force: bool,
}

impl Prune {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let removed = context.engine()?.prune_networks().doing("remove unused networks")?;
        let names = removed.iter().map(|network| format!("{}\n", network.name));
        output::text(&names.collect::<String>())?;
        Ok(Exit::SUCCESS)
    }
}
