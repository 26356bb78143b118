//! `sandbar network prune`.

use sandbar_engine::Pruned;

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
        let pruned = context.engine()?.prune_networks().doing("remove unused networks")?;
        let mut failed = None;
        for Pruned { network, outcome } in pruned {
            match outcome.doing(format!("remove the network {}", network.name)) {
                Ok(()) => output::line(&network.name)?,
                Err(failure) => {
                    output::failure(&failure);
                    failed.get_or_insert_with(|| failure.said());
                }
            }
        }
        failed.map_or(Ok(Exit::SUCCESS), Err)
    }
}
