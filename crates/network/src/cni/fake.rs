//! Plugins for tests: shell scripts that write down how they were called.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Attachment, Client, Configuration};

/// A script that is written while another thread forks can't be executed for a moment (`ETXTBSY`): one at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A machine with plugins.
pub(super) struct Machine {
    dir: TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// One call of a plugin.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) plugin: String,
    pub(super) command: String,
    pub(super) environment: String,
    pub(super) input: Value,
}

impl Call {
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }
}

/// What a plugin answers to `ADD` unless it is told otherwise.
pub(super) const RESULT: &str = r#"{"cniVersion":"1.0.0",
    "interfaces":[{"name":"eth0","sandbox":"/proc/self/ns/net"}],
    "ips":[{"address":"10.1.0.5/16","gateway":"10.1.0.1","interface":0}]}"#;

impl Machine {
    /// With plugins, each a name and what it does beyond writing down how it was called.
    pub(super) fn new(plugins: &[(&str, &str)]) -> Self {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let machine = Self { dir: tempfile::tempdir().unwrap(), _alone: alone };
        for dir in ["bin", "calls", "conf"] {
            fs::create_dir(machine.path(dir)).unwrap();
        }
        plugins.iter().for_each(|(name, does)| machine.plugin(name, does));
        machine
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Adds or replaces a plugin.
    pub(super) fn plugin(&self, name: &str, does: &str) {
        let calls = self.path("calls");
        let calls = calls.display();
        let script = format!(
            "#!/bin/sh\nn={calls}/$(ls {calls} | wc -l | xargs printf %03d)\n\
             mkdir $n; echo {name} >$n/plugin; env >$n/environment; cat >$n/input\n\
             result() {{ cat <<'END'\n{RESULT}\nEND\n}}\n{does}\n"
        );
        let file = self.path("bin").join(name);
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(super) fn client(&self) -> Client {
        Client::new(vec![self.path("missing"), self.path("bin")], self.path("records"))
            .unwrap()
            .with_timeout(Duration::from_secs(30))
    }

    /// A network `net` of these plugins and other keys.
    pub(super) fn network(&self, version: &str, plugins: &[&str], keys: &str) -> Configuration {
        let plugins = plugins.join(",");
        let text =
            format!(r#"{{"cniVersion":"{version}","name":"net",{keys}"plugins":[{plugins}]}}"#);
        fs::write(self.path("conf").join("net.conflist"), text).unwrap();
        Configuration::find(&self.path("conf"), None).unwrap()
    }

    /// All calls so far, and forgets them.
    pub(super) fn calls(&self) -> Vec<Call> {
        let mut dirs: Vec<_> =
            fs::read_dir(self.path("calls")).unwrap().map(|dir| dir.unwrap().path()).collect();
        dirs.sort();
        let calls = dirs.into_iter().map(|dir| {
            let read = |name| fs::read_to_string(dir.join(name)).unwrap();
            let environment = read("environment");
            let command = environment.lines().find_map(|line| line.strip_prefix("CNI_COMMAND="));
            let call = Call {
                plugin: read("plugin").trim().to_owned(),
                command: command.unwrap().to_owned(),
                input: serde_json::from_str(&read("input")).unwrap(),
                environment,
            };
            fs::remove_dir_all(dir).unwrap();
            call
        });
        calls.collect()
    }

    /// The calls so far in short, as `ADD one`.
    pub(super) fn order(&self) -> Vec<String> {
        self.calls().iter().map(|call| format!("{} {}", call.command, call.plugin)).collect()
    }
}

pub(super) fn web() -> Attachment {
    Attachment::new("web", "eth0", "/proc/self/ns/net").unwrap()
}
