//! `sandbar manifest remove`.

use super::of_member;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::Result;
use crate::output;

/// Take an image out of a manifest list
#[derive(Debug, clap::Args)]
pub(crate) struct Remove {
    /// The list
    list: String,
    /// The image, or its manifest's digest as 'inspect' shows it
    image: String,
}

impl Remove {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("take {} out of {}", self.image, self.list);
        let removed = context.images()?.remove_from_list(&self.list, &self.image);
        output::line(removed.map_err(|error| of_member(&action, error))?.digest)?;
        Ok(Exit::SUCCESS)
    }
}
