//! `sandbar manifest add`.

use super::failed;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::Result;
use crate::options::RegistryAccess;
use crate::output;
use crate::remote::members::{Choice, members};

/// Add an image to a manifest list, and print its manifest's digest
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// The image for this operating system
    #[arg(long)]
    os: Option<String>,
    /// The image for this architecture, as in arm64
    #[arg(long)]
    arch: Option<String>,
    /// The image for this variant of it, as in v7
    #[arg(long)]
    variant: Option<String>,
    /// All images that a registry has under the name
    #[arg(long, conflicts_with_all = ["os", "arch", "variant"])]
    all: bool,
    #[command(flatten)]
    registry: RegistryAccess,
    /// The list
    list: String,
    /// The image: one here, or else what a registry has
    image: String,
}

impl Add {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("add {} to {}", self.image, self.list);
        let client = self.registry.client(&action)?;
        let store = context.images()?;
        store.find_list(&self.list).map_err(|error| failed(&action, error))?;
        let choice = Choice {
            os: self.os.as_deref(),
            architecture: self.arch.as_deref(),
            variant: self.variant.as_deref(),
            all: self.all,
        };
        let all = members(&client, &store, &self.image, &choice)?;
        let digests: Vec<_> = all.iter().map(|member| member.digest).collect();
        store.add_to_list(&self.list, all).map_err(|error| failed(&action, error))?;
        for digest in digests {
            output::line(digest)?;
        }
        Ok(Exit::SUCCESS)
    }
}
