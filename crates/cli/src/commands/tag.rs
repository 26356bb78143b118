//! `sandbar tag`.

use sandbar_image::{Home, Reference};

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};

/// Give an image a further name
#[derive(Debug, clap::Args)]
pub(crate) struct Tag {
    /// The image
    source: String,
    /// The name
    #[arg(required = true)]
    target: Vec<String>,
}

impl Tag {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("tag {}", self.source);
        let parse = |name: &String| Reference::parse(name, Home::Localhost).doing(&action);
        let targets = self.target.iter().map(parse).collect::<Result<Vec<_>>>()?;
        let store = context.images()?;
        for target in &targets {
            store.tag(&self.source, target).doing(&action)?;
        }
        Ok(Exit::SUCCESS)
    }
}
