//! The commands of manifest lists.

mod add;
mod create;
mod inspect;
mod ls;
mod push;
mod remove;
mod rm;

use clap::Subcommand;

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::Result;

/// Put images of several platforms under one name, and push them
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true)]
pub(crate) struct Manifest {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with manifest lists.
#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Create),
    Add(add::Add),
    Inspect(inspect::Inspect),
    Push(push::Push),
    Remove(remove::Remove),
    Ls(ls::Ls),
    Rm(rm::Rm),
}

impl Manifest {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        match self.command {
            Command::Create(command) => command.execute(context),
            Command::Add(command) => command.execute(context),
            Command::Inspect(command) => command.execute(context),
            Command::Push(command) => command.execute(context),
            Command::Remove(command) => command.execute(context),
            Command::Ls(command) => command.execute(context),
            Command::Rm(command) => command.execute(context),
        }
    }
}

/// A failure with a list, of which there may be none.
fn failed(action: &str, error: sandbar_image::Error) -> crate::failure::Failure {
    let is_missing = error.kind() == sandbar_image::ErrorKind::NotFound;
    let failure = crate::failure::Failure::of(action, error);
    match is_missing {
        true => failure.hint("'sandbar manifest ls' shows what there is"),
        false => failure,
    }
}
