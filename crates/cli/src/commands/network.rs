//! The commands of networks.

mod connect;
mod create;
mod disconnect;
mod inspect;
mod ls;
mod prune;
mod rm;

use clap::Subcommand;

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::Result;

/// Make, list and remove networks, and put pods on them
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true)]
pub(crate) struct Network {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with networks.
#[derive(Debug, Subcommand)]
enum Command {
    Create(Box<create::Create>),
    Ls(ls::Ls),
    Inspect(inspect::Inspect),
    Rm(rm::Rm),
    Prune(prune::Prune),
    Connect(connect::Connect),
    Disconnect(disconnect::Disconnect),
}

impl Network {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        match self.command {
            Command::Create(command) => command.execute(context),
            Command::Ls(command) => command.execute(context),
            Command::Inspect(command) => command.execute(context),
            Command::Rm(command) => command.execute(context),
            Command::Prune(command) => command.execute(context),
            Command::Connect(command) => command.execute(context),
            Command::Disconnect(command) => command.execute(context),
        }
    }
}
