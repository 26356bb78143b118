//! `sandbar pod inspect`.

use crate::cli::Exit;
use crate::commands::each::show_each;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::inspect;

/// Show all there is to know of pods
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The pods
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Inspect {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        show_each(&self.names, |name| {
            let pod = engine.pod(name).doing(format_args!("inspect the pod {name}"))?;
            Ok(inspect::pod(&pod))
        })
    }
}
