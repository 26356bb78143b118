//! What a container was asked to run: Docker's `Config`.

use oci_spec::runtime::{Process, Spec};
use sandbar_engine::Container;
use sandbar_spec::NamespaceMode;
use serde_json::{Value, json};

use super::ports;

/// The container's `Config`.
pub(super) fn of(container: &Container, spec: &Spec) -> Value {
    let process = spec.process().as_ref();
    let user = process.map(Process::user);
    json!({
        "Hostname": hostname(container, spec),
        "User": user.and_then(|user| user.username().as_deref()).unwrap_or_default(),
        "Tty": container.config.terminal,
        "Env": process.and_then(|process| process.env().clone()).unwrap_or_default(),
        "Cmd": container.config.command,
        "Image": container.config.image,
        "WorkingDir": process.map(|process| process.cwd().display().to_string()),
        "ExposedPorts": ports::exposed(&container.config.exposed),
        "Labels": container.config.labels,
        "StopSignal": container.config.stop_signal.to_string(),
        "StopTimeout": container.config.stop_timeout,
    })
}

fn hostname(container: &Container, spec: &Spec) -> String {
    match (spec.hostname(), &container.config.namespaces.uts) {
        (Some(name), _) => name.clone(),
        (None, NamespaceMode::Pod | NamespaceMode::Private) => container.pod.hostname.clone(),
        // The host's name is the host's to say, and that of another container that one's.
        (None, NamespaceMode::Host | NamespaceMode::Container(_)) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn what_was_asked_for_is_shown() {
        let config = of(&sample::container(), &sample::spec());
        assert_eq!(config["Hostname"], "shop");
        assert_eq!(config["User"], "app");
        assert_eq!(config["Env"], json!(["A=1"]));
        assert_eq!(config["Cmd"], json!(["nginx", "-g", "daemon off;"]));
        assert_eq!(config["WorkingDir"], "/srv");
        assert_eq!(config["Labels"], json!({"tier": "front"}));
        assert_eq!(config["StopSignal"], "SIGTERM");
        assert_eq!(config["Tty"], false);
    }
}
