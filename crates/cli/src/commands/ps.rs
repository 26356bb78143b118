//! `sandbar ps`.

use std::cmp::Reverse;

use jiff::Timestamp;
use sandbar_engine::Container;
use sandbar_spec::{ContainerState, ExitCode};
use serde_json::{Value, json};

use super::Format;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::table::Table;
use crate::{human, output};

/// List containers
#[derive(Debug, clap::Args)]
pub(crate) struct Ps {
    /// Also those that don't run, and pods' pauses
    #[arg(short, long)]
    all: bool,
    /// Their ids alone
    #[arg(short, long)]
    quiet: bool,
    /// Show ids and commands whole
    #[arg(long)]
    no_trunc: bool,
    /// Show their pods
    #[arg(short, long)]
    pod: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    format: Format,
}

impl Ps {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let mut containers = context.engine()?.containers().doing("list the containers")?;
        containers.retain(|container| self.shows(container));
        containers.sort_by_key(|container| Reverse(container.config.created_at));
        let now = Timestamp::now();
        if self.quiet {
            let ids = containers.iter().map(|it| self.id(it) + "\n");
            output::text(&ids.collect::<String>())?;
        } else if self.format == Format::Json {
            output::json(&containers.iter().map(|it| object(it, now)).collect())?;
        } else {
            output::text(&self.table(&containers, now).render())?;
        }
        Ok(Exit::SUCCESS)
    }

    fn shows(&self, container: &Container) -> bool {
        let is_hidden_pause = container.is_pause() && !container.pod.implicit;
        self.all || (container.is_active() && !is_hidden_pause)
    }

    fn id(&self, container: &Container) -> String {
        let id = &container.config.id;
        if self.no_trunc { id.as_str() } else { id.short() }.to_owned()
    }

    fn table(&self, containers: &[Container], now: Timestamp) -> Table {
        let usual = ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
        let pod = self.pod.then_some("POD");
        let mut table = Table::new(&usual.into_iter().chain(pod).collect::<Vec<_>>());
        for container in containers {
            let config = &container.config;
            let usual = [
                self.id(container),
                config.image.clone(),
                human::command(&config.command, self.no_trunc),
                human::ago(config.created_at, now),
                human::status(&container.status, now),
                human::ports(container),
                config.name.to_string(),
            ];
            let pod = self.pod.then(|| container.pod.name.to_string());
            table.row(usual.into_iter().chain(pod));
        }
        table
    }
}

/// A container as Podman's `ps --format json` shows it, and what Docker's has beside that.
fn object(container: &Container, now: Timestamp) -> Value {
    let (config, status) = (&container.config, &container.status);
    let is_published = status.state == ContainerState::Running && config.shares_pod_network();
    let ports = container.pod.ports.iter().filter(|_| is_published).map(|port| {
        json!({
            "host_ip": port.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            "host_port": port.host_port,
            "container_port": port.container_port,
            "range": port.count,
            "protocol": port.protocol,
        })
    });
    json!({
        "Id": config.id,
        "Names": [config.name],
        "Image": config.image,
        "ImageID": config.image_id,
        "Command": config.command,
        "Created": config.created_at.as_second(),
        "CreatedAt": config.created_at,
        "StartedAt": status.started_at,
        "ExitedAt": status.finished_at,
        "ExitCode": status.exit_code.and_then(ExitCode::known),
        "State": human::state(status.state),
        "Status": human::status(status, now),
        "Pid": status.pid,
        "Restarts": status.restarts,
        "Ports": ports.collect::<Vec<_>>(),
        "Labels": config.labels,
        "Pod": container.pod.id,
        "PodName": container.pod.name,
        "IsInfra": container.is_pause() && !container.pod.implicit,
        "AutoRemove": config.auto_remove,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::sample;

    fn ps() -> Ps {
        Ps { all: false, quiet: false, no_trunc: false, pod: false, format: Format::Table }
    }

    #[test]
    fn running_containers_are_shown_and_pauses_only_with_all() {
        let mut container = sample::container();
        assert!(ps().shows(&container));
        container.pod.pause = Some(container.config.id.clone());
        container.pod.implicit = true;
        assert!(ps().shows(&container));
        container.pod.implicit = false;
        assert!(!ps().shows(&container));
        assert!(Ps { all: true, ..ps() }.shows(&container));
        let mut container = sample::container();
        container.status.state = ContainerState::Exited;
        assert!(!ps().shows(&container));
    }

    #[test]
    fn the_columns_are_dockers() {
        let container = sample::container();
        let table = Ps { pod: true, ..ps() }.table(&[container], sample::now()).render();
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|it| !it.is_empty()).collect())
            .collect();
        assert_eq!(
            lines,
            [
                vec![
                    "CONTAINER ID",
                    "IMAGE",
                    "COMMAND",
                    "CREATED",
                    "STATUS",
                    "PORTS",
                    "NAMES",
                    "POD"
                ],
                vec![
                    "abababababab",
                    "nginx",
                    "\"nginx -g daemon off;\"",
                    "3 minutes ago",
                    "Up 2 minutes",
                    "0.0.0.0:8080->80/tcp",
                    "web",
                    "shop"
                ],
            ]
        );
    }

    #[test]
    fn an_unknown_code_is_null() {
        let mut container = sample::container();
        container.status.exit_code = Some(ExitCode::Unknown);
        let object = object(&container, sample::now());
        assert_eq!(object["ExitCode"], Value::Null);
        assert_eq!(object["Names"], json!(["web"]));
        assert_eq!(object["Ports"][0]["host_port"], 8080);
    }
}
