//! `sandbar network rm`.

use sandbar_engine::Kind;

use crate::cli::Exit;
use crate::commands::each::each;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Remove networks
#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    /// Remove the pods on them first; also with a broken record
    #[arg(short, long)]
    force: bool,
    /// The networks
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Rm {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        each(&self.names, |name| {
            let action = format!("remove the network {name}");
            let found = match engine.network(name) {
                Err(error) if self.force && error.kind() == Kind::BrokenNetwork => {
                    engine.mended_network(name)
                }
                found => found,
            };
            match found {
                Err(error) if self.force && error.kind() == Kind::NoSuchNetwork => Ok(()),
                found => {
                    engine.remove_network(&found.doing(&action)?, self.force).doing(&action)?;
                    output::line(name)
                }
            }
        })
    }
}
