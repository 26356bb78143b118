//! Networks whose records are broken: what still can be read of one is enough to remove it.

use serde_json::{Map, Value, json};

use sandbar_spec::{NetworkConfig, NetworkName};

use crate::engine::Engine;
use crate::error::{Error, Kind};

/// What of a record has to be right: which pods are on the network, and what there is of it on the host.
const NEEDED: [&str; 3] = ["id", "interface", "ipv4"];

impl Engine {
    /// The network called `name`, whose record is broken, as far as that can be read: to be removed, and for nothing else.
    ///
    /// # Errors
    /// [`Kind::NoSuchNetwork`]; [`Kind::System`], saying what to do, if too little can be read.
    pub fn mended_network(&self, name: &str) -> Result<NetworkConfig, Error> {
        let unknown = || Error::new(Kind::NoSuchNetwork, format!("there is no network '{name}'"));
        let name: NetworkName = name.parse().map_err(|_no_name| unknown())?;
        let path = self.roots.network(&name);
        let text = std::fs::read(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => unknown(),
            _ => Error::caused(Kind::System, format!("read {}", path.display()), error),
        })?;
        mend(&name, &text).ok_or_else(|| {
            let message = format!(
                "the record of the network '{name}' does not even tell its bridge: remove the pods \
                 on it, the bridge ('ip link delete') and then {}",
                path.display()
            );
            Error::new(Kind::System, message)
        })
    }
}

/// A record with all that is right in `text`, and as little else as there can be.
fn mend(name: &NetworkName, text: &[u8]) -> Option<NetworkConfig> {
    let mut found: Map<String, Value> = serde_json::from_slice(text).ok()?;
    let mut mended = json!({
        "created_at": "1970-01-01T00:00:00Z", "access": "open", "names": true, "name": name,
    });
    for needed in NEEDED {
        *mended.as_object_mut()?.entry(needed).or_insert(Value::Null) = found.remove(needed)?;
    }
    found.remove("name");
    let mut network: NetworkConfig = serde_json::from_value(mended.clone()).ok()?;
    for (field, value) in found {
        let mut with = mended.clone();
        with.as_object_mut()?.insert(field, value);
        if let Ok(read) = serde_json::from_value(with.clone()) {
            (network, mended) = (read, with);
        }
    }
    Some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_right_of_a_record_is_kept() {
        let name: NetworkName = "one".parse().unwrap();
        let id = "ab".repeat(32);
        let record = |more: &str| {
            format!(
                r#"{{"id":"{id}","name":"other","interface":"br-one","names":false,{more}
                "ipv4":{{"subnet":"10.85.0.0/24","gateway":"10.85.0.1"}}}}"#
            )
        };
        for more in ["", r#""mtu":"x","access":"?","#, r#""created_at":7,"labels":[],"#] {
            let network = mend(&name, record(more).as_bytes()).unwrap();
            assert_eq!((network.name.as_str(), network.interface.as_str()), ("one", "br-one"));
            assert!(!network.names && network.mtu.is_none(), "{more}");
        }
        let network = mend(&name, record(r#""mtu":1400,"access":"internal","#).as_bytes()).unwrap();
        assert_eq!(network.mtu, Some(1400));
        for broken in ["{", "[]", "{}", &record("").replace("10.85.0.0/24", "10.85")] {
            assert_eq!(mend(&name, broken.as_bytes()), None, "{broken}");
        }
    }
}
