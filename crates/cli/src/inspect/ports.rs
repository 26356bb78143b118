//! Published ports, as Docker's `PortBindings` and `Ports` have them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use sandbar_spec::PortMapping;
use serde_json::{Value, json};

/// From the container's port to where on the host it is published.
pub(super) fn map(ports: &[PortMapping]) -> Value {
    let mut map: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for port in ports {
        let key = format!("{}/{}", port.container_port, port.protocol);
        map.entry(key).or_default().push(json!({
            "HostIp": port.host_ip.unwrap_or(Ipv4Addr::UNSPECIFIED).to_string(),
            "HostPort": port.host_port.to_string(),
        }));
    }
    json!(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_port_can_be_published_twice() {
        let ports = ["127.0.0.1:80:80", "8080:80", "53:53/udp"].map(|it| it.parse().unwrap());
        assert_eq!(
            map(&ports),
            json!({
                "80/tcp": [
                    {"HostIp": "127.0.0.1", "HostPort": "80"},
                    {"HostIp": "0.0.0.0", "HostPort": "8080"},
                ],
                "53/udp": [{"HostIp": "0.0.0.0", "HostPort": "53"}],
            })
        );
    }
}
