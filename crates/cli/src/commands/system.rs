//! The commands of all that is kept.

mod check;
mod df;
mod prune;

use clap::Subcommand;

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::Result;

/// Measure, check and prune what is kept on disk
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true)]
pub(crate) struct System {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with all of it.
#[derive(Debug, Subcommand)]
enum Command {
    Df(df::Df),
    Check(check::Check),
    Prune(prune::Prune),
}

impl System {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        match self.command {
            Command::Df(command) => command.execute(context),
            Command::Check(command) => command.execute(context),
            Command::Prune(command) => command.execute(context),
        }
    }
}
