//! `sandbar info`.

use sandbar_cgroup::{Controller, Hierarchy, Version};
use sandbar_engine::Engine;
use sandbar_network::Setting;
use serde_json::{Value, json};

use super::TextFormat;
use super::version::VERSION;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Show what Sandbar finds on this machine, and what it does without
#[derive(Debug, clap::Args)]
pub(crate) struct Info {
    /// How to print
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    format: TextFormat,
}

impl Info {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        let containers = engine.containers().doing("list the containers")?;
        let running = containers.iter().filter(|container| container.is_active()).count();
        let pods = engine.pods().doing("list the pods")?;
        let explicit = pods.iter().filter(|pod| !pod.config.implicit).count();
        let images = engine.images().doing("open the images")?;
        let images = images.list().doing("list the images")?;
        let roots = context.roots();
        let info = json!({
            "Version": VERSION,
            "PauseVersion": sandbar_pause::VERSION,
            "Root": roots.root,
            "RunRoot": roots.run_root,
            "Containers": containers.len(),
            "ContainersRunning": running,
            "Pods": explicit,
            "Images": images.len(),
            "Kernel": rustix::system::uname().release().to_string_lossy(),
            "Architecture": std::env::consts::ARCH,
            "Cgroups": cgroups(),
            "Networks": networks(&engine)?,
            "Fallbacks": fallbacks(),
        });
        match self.format {
            TextFormat::Json => output::json(&info)?,
            TextFormat::Text => output::text(&text(&info, 0))?,
        }
        Ok(Exit::SUCCESS)
    }
}

fn cgroups() -> Value {
    let found = Hierarchy::detect().and_then(|found| Ok((found.version(), found.controllers()?)));
    match found {
        Ok((version, controllers)) => json!({
            "Version": match version {
                Version::V1 => "v1",
                Version::Hybrid => "hybrid, used as v1",
                Version::V2 => "v2",
            },
            "Controllers": controllers.iter().map(Controller::as_str).collect::<Vec<_>>(),
        }),
        Err(error) => json!({ "Version": "none", "Error": error.to_string() }),
    }
}

/// The networks, and the settings of the host that their bridges depend on.
fn networks(engine: &Engine) -> Result<Value> {
    let networks = engine.networks().doing("list the networks")?;
    let mut told = serde_json::Map::new();
    for network in networks {
        let settings = engine.host_settings(&network).doing("read the host's settings")?;
        let is_there = engine.bridge_is_there(&network).doing("look for the bridges")?;
        let settings = settings.into_iter().map(|it| {
            let text = setting(&it, is_there);
            (it.name, Value::String(text))
        });
        let subnets = [
            Some(network.ipv4.subnet.to_string()),
            network.ipv6.map(|ipv6| ipv6.subnet.to_string()),
        ];
        told.insert(
            network.name.to_string(),
            json!({
                "Bridge": network.interface,
                "BridgeIsThere": is_there,
                "Subnets": subnets.into_iter().flatten().collect::<Vec<_>>(),
                "HostSettings": settings.collect::<serde_json::Map<_, _>>(),
            }),
        );
    }
    Ok(Value::Object(told))
}

/// A setting as it is and, where that is not as pods need it, what it was or is to be set to.
fn setting(setting: &Setting, has_bridge: bool) -> String {
    let value = setting.value.as_deref().unwrap_or("not there");
    match setting.needed.filter(|_| !setting.is_right()) {
        None => value.to_owned(),
        Some(needed) if has_bridge => {
            let name = &setting.name;
            format!(
                "{value} (was set to {needed}, and has been changed since: start a pod on the network, \
                 or do 'sysctl -w {name}={needed}', as pods of it need that)"
            )
        }
        Some(needed) => format!("{value} (to be set to {needed} for the first pod)"),
    }
}

/// CAP_SYS_RESOURCE: its bit in the sets of capabilities(7).
const SYS_RESOURCE: u32 = 24;

/// What is done without on this machine.
fn fallbacks() -> Vec<String> {
    let mut fallbacks = Vec::new();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !has_capability(&status, SYS_RESOURCE) {
        let text = "no CAP_SYS_RESOURCE: limits above the caller's own, and less readiness to be \
                    ended for want of memory, can't be given";
        fallbacks.push(text.to_owned());
    }
    if let Some(why) = sandbar_network::without_ipv6() {
        fallbacks.push(format!("pods have no IPv6: {why}"));
    } else if !sandbar_network::is_loopback6_published() {
        let text = "bridges call netfilter for IPv6 (net.bridge.bridge-nf-call-ip6tables): pods' \
                    supervisors relay what comes to published ports by ::1, but for SCTP, which \
                    is refused there";
        fallbacks.push(text.to_owned());
    }
    // Where nftables can't be read there is none, or nobody may ask.
    fallbacks.extend(sandbar_network::forward_drops().unwrap_or_default().iter().map(|chain| {
        format!(
            "the firewall's chain {chain} drops what it does not accept of what is forwarded: pods reach \
             others, and published ports are reached, as far as its own rules allow"
        )
    }));
    if let Ok(found) = Hierarchy::detect() {
        if found.version() != Version::V2 {
            fallbacks.push("no cgroup v2: containers are killed process by process".to_owned());
        }
        let missing = ["cpu", "memory", "pids"].into_iter().filter(|wanted| {
            found.controllers().is_ok_and(|all| all.iter().all(|it| it.as_str() != *wanted))
        });
        fallbacks.extend(missing.map(|name| format!("no {name} controller: no such limits")));
    } else {
        fallbacks.push("no cgroups: no limits".to_owned());
    }
    fallbacks
}

/// Whether a bit is set in the effective capabilities of a `/proc/PID/status`.
fn has_capability(status: &str, bit: u32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    set.is_some_and(|set| set >> bit & 1 == 1)
}

/// A JSON object as indented lines.
fn text(value: &Value, depth: usize) -> String {
    let Value::Object(fields) = value else { return String::new() };
    let indent = "  ".repeat(depth);
    let mut lines = String::new();
    for (name, value) in fields {
        let shown = match value {
            Value::Object(_) => format!("\n{}", text(value, depth + 1)),
            Value::Array(items) if items.is_empty() => " none\n".to_owned(),
            Value::Array(items) if items.iter().any(|item| word(item).contains(' ')) => items
                .iter()
                .fold("\n".to_owned(), |all, item| all + &indent + "  " + &word(item) + "\n"),
            Value::Array(items) => {
                format!(" {}\n", items.iter().map(word).collect::<Vec<_>>().join(", "))
            }
            value => format!(" {}\n", word(value)),
        };
        lines.push_str(&format!("{indent}{name}:{shown}"));
    }
    lines
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "not there".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_effective_set() {
        let status = "CapPrm:\t000001ffffffffff\nCapEff:\t000001fffeffffff\n";
        assert!(!has_capability(status, SYS_RESOURCE));
        assert!(has_capability(status, 0));
        assert!(!has_capability("", SYS_RESOURCE));
    }

    #[test]
    fn a_setting_that_was_changed_since_is_not_said_to_be_set() {
        let forwards = |value: &str| Setting {
            name: "net.ipv4.ip_forward".into(),
            value: Some(value.into()),
            needed: Some("1"),
        };
        assert_eq!(setting(&forwards("1"), true), "1");
        assert_eq!(setting(&forwards("0"), false), "0 (to be set to 1 for the first pod)");
        let changed = setting(&forwards("0"), true);
        assert!(changed.starts_with("0 (was set to 1, and has been changed since: "), "{changed}");
        assert!(changed.contains("sysctl -w net.ipv4.ip_forward=1"), "{changed}");
    }

    #[test]
    fn objects_are_indented() {
        let value = json!({"A": 1, "B": {"C": ["x", "y"], "D": null}, "E": [], "F": ["a b", "c"]});
        assert_eq!(
            text(&value, 0),
            "A: 1\nB:\n  C: x, y\n  D: not there\nE: none\nF:\n  a b\n  c\n"
        );
    }
}
