//! `sandbar port ls`.

use serde_json::{Value, json};

use super::{lines, pod_of};
use crate::cli::Exit;
use crate::commands::TextFormat;
use crate::context::Context;
use crate::failure::Result;
use crate::output;

/// List the published ports of a pod
#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// The pod, or a container of it
    name: String,
    /// How to print
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    format: TextFormat,
}

impl Ls {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("list the ports of {}", self.name);
        let pod = pod_of(&context.engine()?, &self.name, &action)?;
        let ports = &pod.config.ports;
        match self.format {
            TextFormat::Text => output::text(&lines(ports))?,
            TextFormat::Json => {
                let objects = ports.iter().map(|port| {
                    json!({
                        "host_ip": port.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
                        "host_port": port.host_port,
                        "container_port": port.container_port,
                        "range": port.count,
                        "protocol": port.protocol,
                    })
                });
                output::json(&Value::Array(objects.collect()))?;
            }
        }
        Ok(Exit::SUCCESS)
    }
}
