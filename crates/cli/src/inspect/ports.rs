//! Published ports, as Docker's `PortBindings` and `Ports` have them.

use std::collections::BTreeMap;

use sandbar_spec::{ExposedPort, PortMapping};
use serde_json::{Map, Value, json};

/// From the container's port to where on the host it is published.
pub(super) fn map(ports: &[PortMapping], with_ipv6: bool) -> Value {
    json!(published(ports, with_ipv6))
}

/// The same, and `null` for what is exposed and not published.
pub(super) fn map_with(exposed: &[ExposedPort], ports: &[PortMapping], with_ipv6: bool) -> Value {
    let mut map = published(ports, with_ipv6);
    for port in exposed.iter().flat_map(each) {
        map.entry(port).or_insert(Value::Null);
    }
    json!(map)
}

/// Docker's `ExposedPorts`.
pub(super) fn exposed(ports: &[ExposedPort]) -> Value {
    Value::Object(ports.iter().flat_map(each).map(|port| (port, json!({}))).collect::<Map<_, _>>())
}

fn published(ports: &[PortMapping], with_ipv6: bool) -> BTreeMap<String, Value> {
    let mut map: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for port in ports {
        for (host_port, container_port) in port.pairs() {
            let key = format!("{container_port}/{}", port.protocol);
            let at = port
                .addresses(with_ipv6)
                .map(|ip| json!({ "HostIp": ip.to_string(), "HostPort": host_port.to_string() }));
            map.entry(key).or_default().extend(at);
        }
    }
    map.into_iter().map(|(key, at)| (key, Value::Array(at))).collect()
}

fn each(exposed: &ExposedPort) -> impl Iterator<Item = String> + use<> {
    let ExposedPort { port, count, protocol } = *exposed;
    (0..count.get()).filter_map(move |n| Some(format!("{}/{protocol}", port.checked_add(n)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbar_spec::PortRequest;

    fn port(text: &str) -> PortMapping {
        text.parse::<PortRequest>().unwrap().mapping().unwrap()
    }

    #[test]
    fn one_port_can_be_published_twice() {
        assert_eq!(
            map(&["127.0.0.1:80:80", "8080:80", "53-54:53-54/udp"].map(port), false),
            json!({
                "80/tcp": [
                    {"HostIp": "127.0.0.1", "HostPort": "80"},
                    {"HostIp": "0.0.0.0", "HostPort": "8080"},
                ],
                "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "53"}],
                "54/udp": [{"HostIp": "0.0.0.0", "HostPort": "54"}],
            })
        );
    }

    #[test]
    fn what_is_exposed_and_not_published_leads_from_nowhere() {
        let listened = ["80/tcp", "443-444/tcp"].map(|text| text.parse().unwrap());
        assert_eq!(
            map_with(&listened, &[port("8080:80")], true),
            json!({
                "80/tcp": [
                    {"HostIp": "0.0.0.0", "HostPort": "8080"},
                    {"HostIp": "::", "HostPort": "8080"},
                ],
                "443/tcp": null,
                "444/tcp": null,
            })
        );
        assert_eq!(exposed(&listened), json!({"80/tcp": {}, "443/tcp": {}, "444/tcp": {}}));
    }
}
