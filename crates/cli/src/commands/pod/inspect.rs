//! `sandbar pod inspect`.

use serde_json::Value;

use crate::cli::Exit;
use crate::commands::each::each;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::{inspect, output};

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
        let mut found = Vec::new();
        let outcome = each(&self.names, |name| {
            let pod = engine.pod(name).doing(format_args!("inspect the pod {name}"))?;
            found.push(inspect::pod(&pod));
            Ok(())
        });
        output::json(&Value::Array(found))?;
        outcome
    }
}
