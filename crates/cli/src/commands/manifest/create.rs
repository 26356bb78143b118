//! `sandbar manifest create`.

use sandbar_image::{ErrorKind, Home, Reference};

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::options::RegistryAccess;
use crate::output;
use crate::remote::members::{Choice, members};

/// Make a manifest list
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Add to the list if there is one
    #[arg(short, long)]
    amend: bool,
    #[command(flatten)]
    registry: RegistryAccess,
    /// Its name
    list: String,
    /// Images of it: those here, or else what registries have
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
}

impl Create {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("make the manifest list {}", self.list);
        let name = Reference::parse(&self.list, Home::Localhost).doing(&action)?;
        let client = self.registry.client(&action)?;
        let store = context.images()?;
        let mut all = Vec::new();
        for image in &self.images {
            all.extend(members(&client, &store, image, &Choice::default())?);
        }
        store.create_list(&name, all, self.amend).map_err(|error| {
            let is_there = error.kind() == ErrorKind::Referenced;
            let failure = Failure::of(&action, error);
            if is_there { failure.hint("--amend adds to it") } else { failure }
        })?;
        output::line(name)?;
        Ok(Exit::SUCCESS)
    }
}
