//! `sandbar oci state`.

use super::Context;
use super::record::Directory;
use crate::cli::Exit;
use crate::failure::Result;
use crate::output;

/// Show a container's state as JSON
#[derive(Debug, clap::Args)]
pub(super) struct State {
    /// The container's id
    id: String,
}

impl State {
    pub(super) fn execute(self, context: &Context) -> Result<Exit> {
        let directory = Directory::new(&context.root, &self.id)?;
        let record = directory.record()?;
        output::json(&record.shown(directory.status(&record)))?;
        Ok(Exit::SUCCESS)
    }
}
