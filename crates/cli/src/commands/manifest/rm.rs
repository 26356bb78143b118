//! `sandbar manifest rm`.

use super::failed;
use crate::cli::Exit;
use crate::commands::each::each;
use crate::context::Context;
use crate::failure::Result;
use crate::output;

/// Remove manifest lists; their images stay
#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    /// The lists
    #[arg(required = true, value_name = "LIST")]
    lists: Vec<String>,
}

impl Rm {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let store = context.images()?;
        each(&self.lists, |name| {
            let action = format!("remove the manifest list {name}");
            let list = store.remove_list(name).map_err(|error| failed(&action, error))?;
            output::line(list.name)
        })
    }
}
