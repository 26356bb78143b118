//! What of the host a container has: Docker's `HostConfig`.

use oci_spec::runtime::{Root, Spec};
use sandbar_engine::Container;
use sandbar_spec::{Connection, NamespaceMode, NetworkConfig, NetworkMode, RestartPolicy};
use serde_json::{Map, Value, json};

use super::ports;
use crate::human;

const DEFAULT: &str = NetworkConfig::DEFAULT_NAME;

/// The container's `HostConfig`.
pub(super) fn of(container: &Container, spec: &Spec) -> Value {
    let config = &container.config;
    let (namespaces, limits) = (&config.namespaces, &config.limits);
    let bytes = |limit: Option<sandbar_spec::Bytes>| limit.map_or(0, |bytes| bytes.0);
    let is_read_only = spec.root().as_ref().and_then(Root::readonly).unwrap_or(false);
    let bindings = match config.shares_pod_network() {
        true => ports::map(&container.pod.ports, human::has_ipv6(&container.connections)),
        false => Value::Object(Map::new()),
    };
    json!({
        "NetworkMode": network(container),
        "IpcMode": namespace(container, &namespaces.ipc),
        "PidMode": namespace(container, &namespaces.pid),
        "UTSMode": namespace(container, &namespaces.uts),
        "PortBindings": bindings,
        "RestartPolicy": restart(config.restart),
        "Memory": bytes(limits.memory),
        "MemorySwap": bytes(limits.memory_swap),
        "NanoCpus": limits.nano_cpus.unwrap_or(0),
        "CpuShares": limits.cpu_shares.unwrap_or(0),
        "PidsLimit": limits.pids,
        "AutoRemove": config.auto_remove,
        "ReadonlyRootfs": is_read_only,
    })
}

/// The pod's network where the container has no other.
fn network(container: &Container) -> String {
    match &container.config.namespaces.net {
        NamespaceMode::Private => "none".to_owned(),
        NamespaceMode::Host => "host".to_owned(),
        NamespaceMode::Container(id) => format!("container:{id}"),
        NamespaceMode::Pod => mode(&container.pod.network, &container.connections),
    }
}

/// A pod's network in Docker's words.
pub(super) fn mode(mode: &NetworkMode, connections: &[Connection]) -> String {
    match (mode, connections.first()) {
        (NetworkMode::Bridge, Some(first)) if first.network.as_str() != DEFAULT => {
            first.network.to_string()
        }
        (NetworkMode::Bridge, _) => "bridge".to_owned(),
        (NetworkMode::Host, _) => "host".to_owned(),
        (NetworkMode::None, _) => "none".to_owned(),
        (NetworkMode::Path(path), _) => format!("ns:{}", path.display()),
    }
}

/// What a pod shares is, in Docker's words, its pause's.
fn namespace(container: &Container, mode: &NamespaceMode) -> String {
    match (mode, &container.pod.pause) {
        (NamespaceMode::Host, _) => "host".to_owned(),
        (NamespaceMode::Container(id), _) => format!("container:{id}"),
        (NamespaceMode::Pod, Some(pause)) if *pause != container.config.id => {
            format!("container:{pause}")
        }
        (NamespaceMode::Pod | NamespaceMode::Private, _) => "private".to_owned(),
    }
}

fn restart(policy: RestartPolicy) -> Value {
    let (name, most) = match policy {
        RestartPolicy::No => ("no", 0),
        RestartPolicy::Always => ("always", 0),
        RestartPolicy::OnFailure(most) => ("on-failure", most.unwrap_or(0)),
    };
    json!({ "Name": name, "MaximumRetryCount": most })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn limits_and_ports_are_shown() {
        let shown = of(&sample::container(), &sample::spec());
        assert_eq!(shown["Memory"], 64 << 20);
        assert_eq!(shown["NanoCpus"], 1_500_000_000);
        assert_eq!(shown["PidsLimit"], Value::Null);
        assert_eq!(shown["ReadonlyRootfs"], true);
        assert_eq!(shown["PortBindings"]["80/tcp"][0]["HostPort"], "8080");
        assert_eq!(shown["RestartPolicy"]["Name"], "on-failure");
        assert_eq!(shown["RestartPolicy"]["MaximumRetryCount"], 3);
    }

    #[test]
    fn namespaces_are_said_in_dockers_words() {
        let mut it = sample::container();
        let pause = it.pod.pause.clone().unwrap();
        let shown = of(&it, &sample::spec());
        assert_eq!(shown["NetworkMode"], "bridge");
        assert_eq!(shown["IpcMode"], format!("container:{pause}"));
        assert_eq!(shown["PidMode"], "private");
        it.config.namespaces.net = NamespaceMode::Private;
        it.config.namespaces.uts = NamespaceMode::Host;
        it.config.namespaces.pid = NamespaceMode::Container(pause.clone());
        it.pod.pause = None;
        let shown = of(&it, &sample::spec());
        assert_eq!(shown["NetworkMode"], "none");
        assert_eq!(shown["PortBindings"], json!({}));
        assert_eq!(shown["UTSMode"], "host");
        assert_eq!(shown["PidMode"], format!("container:{pause}"));
        assert_eq!(shown["IpcMode"], "private");
    }
}
