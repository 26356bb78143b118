//! The ports that a container listens at.

use sandbar_engine::ContainerOptions;
use sandbar_spec::{ExposedPort, NetworkMode};

use super::namespaces::joined;
use crate::failure::{Failure, Result};

/// Exposed ports.
#[derive(Debug, clap::Args)]
pub(crate) struct Exposing {
    /// Publish exposed ports at random host ports
    #[arg(short = 'P', long)]
    publish_all: bool,
    /// Expose ports beside the image's own
    #[arg(long, value_name = "PORT[/PROTO]")]
    expose: Vec<ExposedPort>,
}

impl Exposing {
    /// Into the options of a container, whose namespaces and pod are resolved already.
    pub(crate) fn resolve(self, options: &mut ContainerOptions) -> Result<()> {
        if self.publish_all {
            if let Some(joined) = joined(options) {
                let message =
                    format!("-P is a matter of the whole pod, and {joined} is there already");
                return Err(Failure::new(message).hint("'sandbar port add' publishes more ports"));
            }
            if options.own_pod.network != NetworkMode::Bridge {
                let message = "ports are published for a network of the pod's own, with an address";
                return Err(Failure::new(message).hint("leave -P or --network out"));
            }
        }
        options.publish_all = self.publish_all;
        options.exposed = self.expose;
        Ok(())
    }
}
