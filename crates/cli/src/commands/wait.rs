//! `sandbar wait`.

use super::each::each;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Wait for containers to end, and print their exit codes
#[derive(Debug, clap::Args)]
pub(crate) struct Wait {
    /// The containers
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Wait {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        each(&self.names, |name| {
            let action = format!("wait for {name}");
            let container = engine.container(name).doing(&action)?;
            match engine.wait_container(&container).doing(&action)?.known() {
                Some(code) => output::line(code),
                None => output::line("unknown"),
            }
        })
    }
}
