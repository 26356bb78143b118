//! What a container is called, and how it ends.

use sandbar_engine::ContainerOptions;
use sandbar_spec::{ContainerName, RestartPolicy, SignalNumber};

use crate::failure::{Failure, Result};
use crate::values::Label;

/// Name and end.
#[derive(Debug, clap::Args)]
pub(crate) struct Life {
    /// Its name
    #[arg(long)]
    name: Option<ContainerName>,
    /// A label
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    label: Vec<Label>,
    /// Remove it when it has ended
    #[arg(long)]
    rm: bool,
    /// no, always or on-failure (:N at most N times)
    #[arg(long, value_name = "POLICY", default_value_t, hide_default_value = true)]
    restart: RestartPolicy,
    /// The signal that asks it to end
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<SignalNumber>,
    /// How many seconds it then has
    #[arg(long, value_name = "SECONDS")]
    stop_timeout: Option<u32>,
}

impl Life {
    /// Into the engine's options.
    pub(crate) fn resolve(self, options: &mut ContainerOptions) -> Result<()> {
        if self.rm && self.restart != RestartPolicy::No {
            let message = "--rm removes what has ended, and --restart would start it again";
            return Err(Failure::new(message).hint("leave one of them out"));
        }
        options.name = self.name;
        options.labels = self.label.into_iter().map(|label| (label.name, label.value)).collect();
        options.auto_remove = self.rm;
        options.restart = self.restart;
        options.stop_signal = self.stop_signal;
        if let Some(seconds) = self.stop_timeout {
            options.stop_timeout = seconds;
        }
        Ok(())
    }
}
