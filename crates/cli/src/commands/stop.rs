//! `sandbar stop`.

use super::each::each;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Ask containers to end, and end those that don't in time
#[derive(Debug, clap::Args)]
pub(crate) struct Stop {
    /// How many seconds each has
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS")]
    time: Option<u32>,
    /// The containers
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Stop {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        each(&self.names, |name| {
            let action = format!("stop {name}");
            let container = engine.container(name).doing(&action)?;
            engine.stop_container(&container, self.time).doing(&action)?;
            output::line(name)
        })
    }
}
