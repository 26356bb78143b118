//! `sandbar manifest remove`.

use sandbar_image::Digest;

use super::failed;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::Result;
use crate::output;

/// Take an image out of a manifest list
#[derive(Debug, clap::Args)]
pub(crate) struct Remove {
    /// The list
    list: String,
    /// Its manifest's digest, as 'inspect' shows it
    digest: Digest,
}

impl Remove {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("take {} out of {}", self.digest, self.list);
        let store = context.images()?;
        store
            .remove_from_list(&self.list, &self.digest)
            .map_err(|error| failed(&action, error).hint("'sandbar manifest inspect' shows all"))?;
        output::line(self.digest)?;
        Ok(Exit::SUCCESS)
    }
}
