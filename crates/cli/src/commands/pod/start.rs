//! `sandbar pod start`.

use crate::cli::Exit;
use crate::commands::each::each;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Start pods with all their containers
#[derive(Debug, clap::Args)]
pub(crate) struct Start {
    /// The pods
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Start {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        each(&self.names, |name| {
            let action = format!("start the pod {name}");
            let pod = engine.pod(name).doing(&action)?;
            for told in engine.start_pod(&pod).doing(&action)? {
                output::note(&told);
            }
            output::line(name)
        })
    }
}
