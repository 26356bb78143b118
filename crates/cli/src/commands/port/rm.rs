//! `sandbar port rm`.

use sandbar_spec::PortRequest;

use super::{lines, pod_of};
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Take back published ports of a pod
///
/// Connections that are open go on.
#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    /// The pod, or a container of it
    name: String,
    /// The ports, as after -p; 80 is all that lead to port 80
    #[arg(required = true, value_name = "PORT")]
    ports: Vec<PortRequest>,
}

impl Rm {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        let action = format!("take back ports of {}", self.name);
        let pod = pod_of(&engine, &self.name, &action)?;
        let removed = engine.remove_ports(&pod.config.id, &self.ports).doing(&action)?;
        output::text(&lines(&removed))?;
        Ok(Exit::SUCCESS)
    }
}
