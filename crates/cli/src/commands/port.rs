//! The commands of published ports.

mod add;
mod ls;
mod rm;

use clap::Subcommand;
use sandbar_engine::{Engine, Kind, Pod};
use sandbar_spec::PortMapping;

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};

/// List, add and remove published ports
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true)]
pub(crate) struct Port {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with published ports.
#[derive(Debug, Subcommand)]
enum Command {
    Add(add::Add),
    Rm(rm::Rm),
    Ls(ls::Ls),
}

impl Port {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        match self.command {
            Command::Add(command) => command.execute(context),
            Command::Rm(command) => command.execute(context),
            Command::Ls(command) => command.execute(context),
        }
    }
}

/// The pod called `name`, or that of the container called so.
fn pod_of(engine: &Engine, name: &str, action: &str) -> Result<Pod> {
    match engine.pod(name) {
        Err(error) if error.kind() == Kind::NotFound => match engine.container(name) {
            Ok(container) => engine.pod(container.pod.id.as_str()).doing(action),
            Err(other) if other.kind() == Kind::NotFound => Err(error).doing(action),
            Err(other) => Err(other).doing(action),
        },
        found => found.doing(action),
    }
}

/// A line for each.
fn lines(ports: &[PortMapping]) -> String {
    ports.iter().map(|port| format!("{port}\n")).collect()
}
