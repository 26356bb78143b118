//! A container, as `docker inspect` shows one.

use oci_spec::runtime::Spec;
use sandbar_engine::{Container, Roots};
use sandbar_spec::ContainerState;
use serde_json::{Map, Value, json};

use super::{config, host_config, mounts, network, ports};
use crate::human;

/// What Docker says of a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// All there is to know of a container.
pub(crate) fn container(container: &Container, spec: &Spec, roots: &Roots) -> Value {
    let of = &container.config;
    let words = of.command.split_first();
    json!({
        "Id": of.id,
        "Created": of.created_at,
        "Path": words.map_or("", |(program, _)| program),
        "Args": words.map_or(&[][..], |(_, arguments)| arguments),
        "State": state(container),
        "Image": of.image_id.as_deref().unwrap_or_default(),
        "ImageName": of.image,
        "Name": of.name,
        "RestartCount": container.status.restarts,
        "LogPath": of.log_path,
        "Mounts": mounts::of(spec, roots),
        "HostConfig": host_config::of(container, spec),
        "Config": config::of(container, spec),
        "NetworkSettings": network_settings(container),
        "Pod": container.pod.id,
        "PodName": container.pod.name,
        "IsInfra": container.is_pause() && !container.pod.implicit,
    })
}

fn state(container: &Container) -> Value {
    let status = &container.status;
    let is_restarting = status.state == ContainerState::Restarting;
    json!({
        "Status": human::state(status.state),
        // As in Docker: one that is about to be started again counts as running.
        "Running": container.is_active(),
        "Paused": false,
        "Restarting": is_restarting,
        "OOMKilled": status.oom_killed,
        "Dead": false,
        "Pid": status.pid.unwrap_or(0),
        "ExitCode": exit_code(container),
        "Error": status.error.as_deref().unwrap_or_default(),
        "StartedAt": status.started_at.map_or_else(|| NEVER.to_owned(), |time| time.to_string()),
        "FinishedAt": status.finished_at.map_or_else(|| NEVER.to_owned(), |time| time.to_string()),
    })
}

/// The code; 0 where it has not ended yet, as in Docker; null where nobody knows.
fn exit_code(container: &Container) -> Option<i32> {
    match container.status.exit_code {
        Some(code) => code.known(),
        None if container.status.state == ContainerState::Exited => None,
        None => Some(0),
    }
}

fn network_settings(container: &Container) -> Value {
    let published = match container.is_active() && container.config.shares_pod_network() {
        true => ports::map_with(
            &container.config.exposed,
            &container.pod.ports,
            human::has_ipv6(&container.connections),
        ),
        false => Value::Object(Map::new()),
    };
    let mut settings = network::settings(&container.connections);
    settings.insert("Ports".to_owned(), published);
    Value::Object(settings)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use sandbar_spec::ExitCode;

    fn inspect(it: &Container) -> Value {
        container(it, &sample::spec(), &Roots::default())
    }

    #[test]
    fn the_shape_is_dockers() {
        let it = inspect(&sample::container());
        assert_eq!(it["Id"], "ab".repeat(32));
        assert_eq!(it["Path"], "nginx");
        assert_eq!(it["Args"], json!(["-g", "daemon off;"]));
        assert_eq!(it["Name"], "web");
        assert_eq!(it["Created"], "2030-01-01T00:00:00Z");
        assert_eq!(it["State"]["Status"], "running");
        assert_eq!(it["State"]["Running"], true);
        assert_eq!(it["State"]["Pid"], 42);
        assert_eq!(it["State"]["ExitCode"], 0);
        assert_eq!(it["State"]["FinishedAt"], NEVER);
        assert_eq!(it["Image"], format!("sha256:{}", "cd".repeat(32)));
        assert_eq!(it["ImageName"], "nginx");
        assert_eq!(it["NetworkSettings"]["IPAddress"], "10.84.0.2");
        assert_eq!(it["NetworkSettings"]["IPPrefixLen"], 16);
        assert_eq!(
            it["NetworkSettings"]["Ports"],
            json!({"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]})
        );
        assert_eq!(it["Pod"], "cd".repeat(32));
    }

    #[test]
    fn an_unknown_exit_code_is_null() {
        let mut it = sample::container();
        it.status.state = ContainerState::Exited;
        it.status.pid = None;
        it.status.exit_code = Some(ExitCode::Unknown);
        let shown = inspect(&it);
        assert_eq!(shown["State"]["ExitCode"], Value::Null);
        assert_eq!(shown["State"]["Running"], false);
        assert_eq!(shown["State"]["Pid"], 0);
        assert_eq!(shown["NetworkSettings"]["Ports"], json!({}));
        it.status.exit_code = Some(ExitCode::Known(137));
        assert_eq!(inspect(&it)["State"]["ExitCode"], 137);
    }
}
