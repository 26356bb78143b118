//! A pod, as `podman pod inspect` shows one.

use sandbar_engine::Pod;
use sandbar_spec::{ContainerId, NetworkMode};
use serde_json::{Value, json};

use super::ports;
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
    let network = match of.network {
        NetworkMode::Bridge => "bridge",
        NetworkMode::Host => "host",
        NetworkMode::None => "none",
    };
    let address = pod.address.as_ref();
    json!({
        "Id": of.id,
        "Name": of.name,
        "Created": of.created_at,
        "State": pod.state().to_string(),
        "Hostname": of.hostname,
        "SharedNamespaces": of.shared.names(),
        "InfraContainerID": of.pause.as_ref().map(ContainerId::as_str).unwrap_or_default(),
        "InfraConfig": {
            "PortBindings": ports::map(&of.ports),
            "HostNetwork": of.network == NetworkMode::Host,
            "NetworkMode": network,
        },
        "NetworkSettings": {
            "IPAddress": address.map(|it| it.ip.to_string()).unwrap_or_default(),
            "IPPrefixLen": address.map_or(0, |it| it.prefix),
            "Gateway": address.map(|it| it.gateway.to_string()).unwrap_or_default(),
            "MacAddress": address.map(|it| it.mac.as_str()).unwrap_or_default(),
        },
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
