//! `sandbar manifest push`.

use std::path::PathBuf;

use sandbar_image::ListPush;

use super::failed;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::options::RegistryAccess;
use crate::output;
use crate::remote::members::remote_of;
use crate::remote::push::{Repository, named};
use crate::sending::Sending;
use crate::values::Compression;

/// Send a manifest list to a registry, and print its digest there
#[derive(Debug, clap::Args)]
pub(crate) struct Push {
    /// Send its images; =false: the list alone
    #[arg(
        long,
        value_name = "BOOL",
        hide_possible_values = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    all: Option<bool>,
    /// Have all layers so: gzip, zstd, none
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    compression_format: Option<Compression>,
    /// Write the digest to this file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryAccess,
    /// The list
    list: String,
    /// Where to, as in example.com/app:1; else as its name says
    destination: Option<String>,
}

impl Push {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let client = self.registry.client(&format!("push {}", self.list))?;
        let store = context.images()?;
        let list = store
            .find_list(&self.list)
            .map_err(|error| failed(&format!("push {}", self.list), error))?;
        let destination = self.destination.unwrap_or_else(|| list.name.to_string());
        let to = named(&self.list, &destination)?;
        let action = format!("push {} to {to}", self.list);
        let repository = Repository::new(&client, &to).doing(&action)?;
        let sending = Sending::new();
        let how = ListPush {
            to: &to,
            destination: &repository,
            remote: &|name| remote_of(&client, name),
            members: self.all.unwrap_or(true),
            compression: self.compression_format.map(Into::into),
            progress: &|progress| sending.tell(progress),
        };
        let digest = store.push_list(&list, &how).doing(&action)?;
        if let Some(file) = self.digestfile {
            let action = format!("write the digest {digest} to {}", file.display());
            std::fs::write(&file, digest.to_string()).doing(action)?;
        }
        output::line(digest)?;
        Ok(Exit::SUCCESS)
    }
}
