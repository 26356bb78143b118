//! `sandbar manifest inspect`.

use super::failed;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Show a manifest list as the index that it is
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The list
    list: String,
}

impl Inspect {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("show the manifest list {}", self.list);
        let list = context.images()?.find_list(&self.list).map_err(|e| failed(&action, e))?;
        let index = list.index().doing(&action)?;
        output::json(&serde_json::from_slice(&index).doing(action)?)?;
        Ok(Exit::SUCCESS)
    }
}
