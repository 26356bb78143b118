//! `sandbar pod stop`.

use crate::cli::Exit;
use crate::commands::each::each;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Stop pods with all their containers
#[derive(Debug, clap::Args)]
pub(crate) struct Stop {
    /// How many seconds each container has
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS")]
    time: Option<u32>,
    /// The pods
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Stop {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        each(&self.names, |name| {
            let action = format!("stop the pod {name}");
            let pod = engine.pod(name).doing(&action)?;
            engine.stop_pod(&pod, self.time).doing(&action)?;
            output::line(name)
        })
    }
}
