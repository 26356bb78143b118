//! A pod, as `podman pod inspect` shows one.

use sandbar_engine::Pod;
use sandbar_spec::{ContainerId, NetworkMode};
use serde_json::{Value, json};

use super::{host_config, network, ports};
use crate::human;

/// All there is to know of a pod.
pub(crate) fn pod(pod: &Pod) -> Value {
    let of = &pod.config;
    let containers = pod.containers.iter().map(|container| {
        json!({
            "Id": container.config.id,
            "Name": container.config.name,
            "State": human::state(container.status.state),
        })
    });
    json!({
        "Id": of.id,
        "Name": of.name,
        "Created": of.created_at,
        "State": pod.state().to_string(),
        "Hostname": of.hostname,
        "SharedNamespaces": of.shared.names(),
        "InfraContainerID": of.pause.as_ref().map(ContainerId::as_str).unwrap_or_default(),
        "InfraConfig": {
            "PortBindings": ports::map(&of.ports, human::has_ipv6(&pod.connections)),
            "HostNetwork": of.network == NetworkMode::Host,
            "NetworkMode": host_config::mode(&of.network, &pod.connections),
        },
        "NetworkSettings": network::settings(&pod.connections),
        "NumContainers": pod.containers.len(),
        "Containers": containers.collect::<Vec<_>>(),
        "Supervisor": {
            "Pid": pod.status.supervisor,
            "PauseRestarts": pod.status.pause.restarts,
            "LastEvent": pod.status.pause.last_event,
        },
        "Implicit": of.implicit,
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_shape_is_podmans() {
        let it = pod(&sample::pod());
        assert_eq!(it["Name"], "shop");
        assert_eq!(it["State"], "Running");
        assert_eq!(it["SharedNamespaces"], json!(["net", "ipc", "uts"]));
        assert_eq!(it["InfraContainerID"], "ef".repeat(32));
        assert_eq!(it["NumContainers"], 1);
        assert_eq!(it["Containers"][0]["Name"], "web");
        assert_eq!(it["InfraConfig"]["PortBindings"]["80/tcp"][0]["HostPort"], "8080");
        assert_eq!(it["NetworkSettings"]["IPAddress"], "10.84.0.2");
    }
}
