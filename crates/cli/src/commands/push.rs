//! `sandbar push`.

use std::path::PathBuf;

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::options::RegistryAccess;
use crate::output;
use crate::remote::push::{Order, push};
use crate::sending::Sending;
use crate::values::Compression;

/// Send an image to a registry, and print its digest there
#[derive(Debug, clap::Args)]
pub(crate) struct Push {
    /// Have all layers so: gzip, zstd, none
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    compression_format: Option<Compression>,
    /// Write the digest to this file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryAccess,
    /// The image
    image: String,
    /// Where to, as in example.com/app:1; else as its name says
    destination: Option<String>,
}

impl Push {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("push {}", self.image);
        let client = self.registry.client(&action)?;
        let store = context.images()?;
        let order = Order {
            image: &self.image,
            destination: self.destination.as_deref(),
            compression: self.compression_format.map(Into::into),
        };
        let sending = Sending::new();
        let pushed = push(&client, &store, &order, &|progress| sending.tell(progress))?;
        if let Some(file) = self.digestfile {
            let action = format!("write the digest {} to {}", pushed.digest, file.display());
            std::fs::write(&file, pushed.digest.to_string()).doing(action)?;
        }
        output::line(pushed.digest)?;
        Ok(Exit::SUCCESS)
    }
}
