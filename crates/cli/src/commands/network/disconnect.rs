//! `sandbar network disconnect`.

use sandbar_engine::{Engine, Error, Kind, Pod};

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};

/// Take a pod off a network, at once if it runs
#[derive(Debug, clap::Args)]
pub(crate) struct Disconnect {
    /// The network
    network: String,
    /// The pod, or a container of it
    pod: String,
}

impl Disconnect {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("take {} off the network {}", self.pod, self.network);
        let engine = context.engine()?;
        let pod = pod_of(&engine, &self.pod).doing(&action)?;
        let network = engine.network(&self.network).doing(&action)?;
        match engine.disconnect(&pod, &network) {
            Err(error) if error.kind() == Kind::InUse => {
                let hint =
                    "take its ports back with 'sandbar port rm', or put it on another network";
                Err(Failure::of(action, error).hint(hint))
            }
            outcome => outcome.doing(action).map(|()| Exit::SUCCESS),
        }
    }
}

/// The pod that is called so, else that of the container that is.
pub(super) fn pod_of(engine: &Engine, name: &str) -> std::result::Result<Pod, Error> {
    match engine.pod(name) {
        Err(error) if error.kind() == Kind::NotFound => match engine.container(name) {
            Ok(container) => engine.pod(container.pod.id.as_str()),
            Err(_) => Err(error),
        },
        found => found,
    }
}
