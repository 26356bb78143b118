//! Volumes, as Docker's `Mounts` has them: what somebody chose, not what every container has.

use oci_spec::runtime::{Mount, Spec};
use sandbar_engine::Roots;
use serde_json::{Value, json};

/// The volumes among a container's mounts.
pub(super) fn of(spec: &Spec, roots: &Roots) -> Vec<Value> {
    let all = spec.mounts().as_deref().unwrap_or_default();
    all.iter().filter_map(|mount| volume(mount, roots)).collect()
}

fn volume(mount: &Mount, roots: &Roots) -> Option<Value> {
    let source = mount.source().as_ref()?;
    let options = mount.options().as_deref().unwrap_or_default();
    let has = |wanted: &[&str]| options.iter().any(|option| wanted.contains(&option.as_str()));
    // What a pod gives to its containers, such as /etc/hosts, is in its directory.
    if mount.typ().as_deref() != Some("bind") || source.starts_with(&roots.run_root) {
        return None;
    }
    let is_read_only = has(&["ro", "rro"]);
    let propagation = ["rprivate", "private", "rslave", "slave", "rshared", "shared"]
        .into_iter()
        .find(|&mode| has(&[mode]));
    let mut shown = json!({
        "Type": "bind",
        "Source": source,
        "Destination": mount.destination(),
        "Mode": if is_read_only { "ro" } else { "" },
        "RW": !is_read_only,
        "Propagation": propagation.unwrap_or("rprivate"),
    });
    if let Ok(name) = source.strip_prefix(roots.root.join("volumes"))
        && let Some(volume) = shown.as_object_mut()
    {
        volume.insert("Type".into(), "volume".into());
        volume.insert("Name".into(), json!(name));
        volume.insert("Driver".into(), "local".into());
    }
    Some(shown)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn volumes_are_shown_and_what_every_container_has_is_not() {
        let mounts = of(&sample::spec(), &Roots::default());
        assert_eq!(
            mounts,
            [
                json!({
                    "Type": "bind", "Source": "/srv/data", "Destination": "/data", "Mode": "ro",
                    "RW": false, "Propagation": "rprivate",
                }),
                json!({
                    "Type": "volume", "Name": "db", "Driver": "local",
                    "Source": "/var/lib/sandbar/volumes/db", "Destination": "/db", "Mode": "",
                    "RW": true, "Propagation": "rprivate",
                }),
            ]
        );
    }
}
