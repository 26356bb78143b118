//! A network, as `docker network inspect` shows one; and a pod's networks, as Docker's `NetworkSettings` have them.

use sandbar_engine::Pod;
use sandbar_spec::{Connection, NetworkAccess, NetworkConfig};
use serde_json::{Map, Value, json};

/// All there is to know of a network and of the pods on it.
pub(crate) fn network(network: &NetworkConfig, pods: &[Pod]) -> Value {
    let mut plans = vec![json!({
        "Subnet": network.ipv4.subnet,
        "Gateway": network.ipv4.gateway,
    })];
    if let (Some(range), Some(Value::Object(plan))) = (network.range, plans.first_mut()) {
        plan.insert("IPRange".to_owned(), json!(range));
    }
    if let Some(ipv6) = network.ipv6 {
        plans.push(json!({ "Subnet": ipv6.subnet, "Gateway": ipv6.gateway }));
    }
    let mut options = Map::new();
    if let Some(mtu) = network.mtu {
        options.insert("mtu".to_owned(), json!(mtu.to_string()));
    }
    if network.access == NetworkAccess::Isolated {
        options.insert("isolate".to_owned(), json!("true"));
    }
    let on = |pod: &Pod| {
        let connection = pod.connections.iter().find(|it| it.network_id == network.id)?.clone();
        let ipv6 = connection.ipv6.as_ref();
        let value = json!({
            "Name": pod.config.name,
            "MacAddress": connection.mac,
            "IPv4Address": format!("{}/{}", connection.ip, connection.prefix),
            "IPv6Address": ipv6.map(|it| format!("{}/{}", it.ip, it.prefix)).unwrap_or_default(),
        });
        Some((pod.config.id.to_string(), value))
    };
    json!({
        "Name": network.name,
        "Id": network.id,
        "Created": network.created_at,
        "Scope": "local",
        "Driver": "bridge",
        "NetworkInterface": network.interface,
        "EnableIPv6": network.ipv6.is_some(),
        "IPAM": { "Driver": "default", "Config": plans },
        "Internal": network.access == NetworkAccess::Internal,
        "DNSEnabled": network.names,
        "Pods": pods.iter().filter_map(on).collect::<Map<_, _>>(),
        "Options": options,
        "Labels": network.labels,
    })
}

/// The addresses on the network by which the pod reaches the world (else on the first), and all networks by name.
pub(super) fn settings(connections: &[Connection]) -> Map<String, Value> {
    let main = Connection::gateway_of(connections).or(connections.first());
    let mut settings = main.map_or_else(nowhere, addresses);
    let networks = connections.iter().map(|connection| {
        let mut value = addresses(connection);
        value.insert("NetworkID".to_owned(), json!(connection.network_id));
        value.insert("Aliases".to_owned(), json!(connection.aliases));
        value.insert("Interface".to_owned(), json!(connection.interface));
        (connection.network.to_string(), Value::Object(value))
    });
    settings.insert("Networks".to_owned(), Value::Object(networks.collect()));
    settings
}

fn addresses(connection: &Connection) -> Map<String, Value> {
    let ipv6 = connection.ipv6.as_ref();
    object(&[
        ("IPAddress", json!(connection.ip)),
        ("IPPrefixLen", json!(connection.prefix)),
        ("Gateway", json!(connection.gateway)),
        ("GlobalIPv6Address", ipv6.map_or_else(|| json!(""), |it| json!(it.ip))),
        ("GlobalIPv6PrefixLen", json!(ipv6.map_or(0, |it| it.prefix))),
        ("IPv6Gateway", ipv6.map_or_else(|| json!(""), |it| json!(it.gateway))),
        ("MacAddress", json!(connection.mac)),
    ])
}

fn nowhere() -> Map<String, Value> {
    object(&[
        ("IPAddress", json!("")),
        ("IPPrefixLen", json!(0)),
        ("Gateway", json!("")),
        ("GlobalIPv6Address", json!("")),
        ("GlobalIPv6PrefixLen", json!(0)),
        ("IPv6Gateway", json!("")),
        ("MacAddress", json!("")),
    ])
}

fn object(fields: &[(&str, Value)]) -> Map<String, Value> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}
