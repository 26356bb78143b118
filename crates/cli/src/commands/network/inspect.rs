//! `sandbar network inspect`.

use serde_json::Value;

use crate::cli::Exit;
use crate::commands::each::each;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::{inspect, output};

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
        let mut found = Vec::new();
        let outcome = each(&self.names, |name| {
            let action = format!("inspect the network {name}");
            let network = engine.network(name).doing(&action)?;
            let pods = engine.pods_on(&network).doing(&action)?;
            found.push(inspect::network(&network, &pods));
            Ok(())
        });
        output::json(&Value::Array(found))?;
        outcome
    }
}
