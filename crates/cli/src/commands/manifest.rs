//! The commands of manifest lists.

mod add;
mod annotate;
mod create;
mod inspect;
mod ls;
mod push;
mod remove;
mod rm;

use clap::Subcommand;
use sandbar_image::{Error, ErrorKind};

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Failure, Result};

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
    Annotate(annotate::Annotate),
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
            Command::Annotate(command) => command.execute(context),
            Command::Inspect(command) => command.execute(context),
            Command::Push(command) => command.execute(context),
            Command::Remove(command) => command.execute(context),
            Command::Ls(command) => command.execute(context),
            Command::Rm(command) => command.execute(context),
        }
    }
}

/// A failure with a list, of which there may be none.
fn failed(action: &str, error: Error) -> Failure {
    with_hint(action, error, "'sandbar manifest ls' shows what there is")
}

/// A failure with a member of a list, which may not be there.
fn of_member(action: &str, error: Error) -> Failure {
    with_hint(action, error, "'sandbar manifest ls' and 'manifest inspect' show what there is")
}

fn with_hint(action: &str, error: Error, hint: &str) -> Failure {
    let hinted = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Ambiguous);
    let failure = Failure::of(action, error);
    if hinted { failure.hint(hint) } else { failure }
}
