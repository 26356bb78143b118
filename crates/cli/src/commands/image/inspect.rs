//! `sandbar image inspect`.

use serde_json::Value;

use crate::cli::Exit;
use crate::commands::each::each;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::{inspect, output};

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
        let mut found = Vec::new();
        let outcome = each(&self.names, |name| {
            let action = format!("inspect {name}");
            let image = store.find(name).doing(&action)?;
            let references = store.references(&image.id).doing(&action)?;
            found.push(inspect::image(&image, &references).doing(&action)?);
            Ok(())
        });
        output::json(&Value::Array(found))?;
        outcome
    }
}
