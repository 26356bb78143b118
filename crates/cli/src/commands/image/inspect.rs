//! `sandbar image inspect`.

use crate::cli::Exit;
use crate::commands::each::show_each;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::inspect;

/// Show all there is to know of images
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The images
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Inspect {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let store = context.images()?;
        show_each(&self.names, |name| {
            let action = format!("inspect {name}");
            let image = store.find(name).doing(&action)?;
            let references = store.references(&image.id).doing(&action)?;
            inspect::image(&image, &references).doing(&action)
        })
    }
}
