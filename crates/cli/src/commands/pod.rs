//! The commands of pods.

mod create;
mod inspect;
mod ps;
mod rm;
mod start;
mod stop;

use clap::Subcommand;

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::Result;

/// Make, start, stop, list and remove pods
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true)]
pub(crate) struct Pod {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with pods.
#[derive(Debug, Subcommand)]
enum Command {
    Create(Box<create::Create>),
    Start(start::Start),
    Stop(stop::Stop),
    Rm(rm::Rm),
    Ps(ps::Ps),
    Inspect(inspect::Inspect),
}

impl Pod {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        match self.command {
            Command::Create(command) => command.execute(context),
            Command::Start(command) => command.execute(context),
            Command::Stop(command) => command.execute(context),
            Command::Rm(command) => command.execute(context),
            Command::Ps(command) => command.execute(context),
            Command::Inspect(command) => command.execute(context),
        }
    }
}
