//! The commands of images by the names that Docker and Podman have beside the short ones.

mod inspect;
mod prune;

use clap::Subcommand;

pub(super) use prune::prune;

use super::{build, images, import, load, pull, push, rmi, save, search, tag};
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::Result;

/// Bring, list, inspect and remove images
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true)]
pub(crate) struct Image {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with images.
#[derive(Debug, Subcommand)]
enum Command {
    #[command(alias = "list")]
    Ls(images::Images),
    Inspect(inspect::Inspect),
    #[command(alias = "remove")]
    Rm(rmi::Rmi),
    Prune(prune::Prune),
    Build(Box<build::Build>),
    Pull(pull::Pull),
    Push(push::Push),
    Load(load::Load),
    Save(save::Save),
    Import(import::Import),
    Tag(tag::Tag),
    Search(search::Search),
}

impl Image {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        match self.command {
            Command::Ls(command) => command.execute(context),
            Command::Inspect(command) => command.execute(context),
            Command::Rm(command) => command.execute(context),
            Command::Prune(command) => command.execute(context),
            Command::Build(command) => command.execute(context),
            Command::Pull(command) => command.execute(context),
            Command::Push(command) => command.execute(context),
            Command::Load(command) => command.execute(context),
            Command::Save(command) => command.execute(context),
            Command::Import(command) => command.execute(context),
            Command::Tag(command) => command.execute(context),
            Command::Search(command) => command.execute(),
        }
    }
}
