//! `sandbar network inspect`.

use crate::cli::Exit;
use crate::commands::each::show_each;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::inspect;

/// Show all there is to know of networks
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// The networks
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Inspect {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        show_each(&self.names, |name| {
            let action = format!("inspect the network {name}");
            let network = engine.network(name).doing(&action)?;
            let pods = engine.pods_on(&network).doing(&action)?;
            Ok(inspect::network(&network, &pods))
        })
    }
}
