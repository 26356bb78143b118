//! `sandbar port add`.

use sandbar_spec::PortRequest;

use super::{lines, pod_of};
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Publish further ports of a pod, at once if it runs
#[derive(Debug, clap::Args)]
pub(crate) struct Add {
    /// The pod, or a container of it
    name: String,
    /// The ports, as after -p: 8080:80, 53:53/udp, 80
    #[arg(required = true, value_name = "PORT")]
    ports: Vec<PortRequest>,
}

impl Add {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        let action = format!("publish ports of {}", self.name);
        let pod = pod_of(&engine, &self.name, &action)?;
        let added = engine.add_ports(&pod.config.id, &self.ports).doing(&action)?;
        added.told.iter().for_each(|told| output::note(told));
        output::text(&lines(&added.ports))?;
        Ok(Exit::SUCCESS)
    }
}
