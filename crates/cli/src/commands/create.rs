//! `sandbar create`.

use super::run::{create, name_of};
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::Result;
use crate::options::{ContainerArguments, Pulling, Surroundings};
use crate::output;

/// Make a container without starting it, and print its id
#[derive(Debug, clap::Args)]
#[command(override_usage = "sandbar create [OPTIONS] IMAGE [COMMAND]...\n       \
                            sandbar create [OPTIONS] --rootfs DIR [COMMAND]...")]
pub(crate) struct Create {
    #[command(flatten)]
    container: ContainerArguments,
    #[command(flatten, next_help_heading = "Pulling the image")]
    pulling: Pulling,
}

impl Create {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let options = self.container.resolve(&Surroundings::REAL)?;
        let action = format!("create a container from {}", name_of(&options.source));
        let container = create(&context.engine()?, options, &self.pulling, &action)?;
        output::line(&container.config.id)?;
        Ok(Exit::SUCCESS)
    }
}
