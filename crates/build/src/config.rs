//! What an image's configuration says, as instructions change it
//! ([image configuration](https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md)).

use std::collections::BTreeMap;

use jiff::Timestamp;
use sandbar_image::{Digest, Platform};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::dockerfile::Command;

/// How containers of an image run. What is not known here is kept as it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Settings {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) user: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) exposed_ports: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) cmd: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) volumes: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) working_dir: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) stop_signal: String,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) healthcheck: Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) on_build: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) shell: Vec<String>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// An image on its way.
#[derive(Debug, Clone)]
pub(crate) struct ImageConfig {
    pub(crate) settings: Settings,
    os: String,
    architecture: String,
    variant: Option<String>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) author: Option<String>,
    history: Vec<Value>,
    /// Whether this stage has a CMD: else an ENTRYPOINT makes the base's meaningless.
    has_own_cmd: bool,
}

impl ImageConfig {
    /// Nothing but where programs are looked for, which all builders say.
    pub(crate) fn scratch(platform: &Platform) -> Self {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        Self {
            settings: Settings { env: vec![path.to_owned()], ..Settings::default() },
            os: platform.os().to_owned(),
            architecture: platform.architecture().to_owned(),
            variant: platform.variant().map(str::to_owned),
            created: None,
            author: None,
            history: Vec::new(),
            has_own_cmd: false,
        }
    }

    /// What an image says; `None` if it can't be understood.
    pub(crate) fn of(mut whole: Map<String, Value>) -> Option<Self> {
        let mut settings = match whole.remove("config") {
            Some(Value::Object(settings)) => settings,
            None | Some(Value::Null) => Map::new(),
            Some(_) => return None,
        };
        settings.retain(|_, value| !value.is_null());
        let text = |name: &str| whole.get(name).and_then(Value::as_str).map(str::to_owned);
        let host = Platform::host();
        Some(Self {
            settings: serde_json::from_value(settings.into()).ok()?,
            os: text("os").unwrap_or_else(|| host.os().to_owned()),
            architecture: text("architecture").unwrap_or_else(|| host.architecture().to_owned()),
            variant: text("variant").filter(|variant| !variant.is_empty()),
            created: text("created").and_then(|time| time.parse().ok()),
            author: text("author"),
            history: match whole.remove("history") {
                Some(Value::Array(history)) => history,
                _ => Vec::new(),
            },
            has_own_cmd: false,
        })
    }

    /// The machine it is for.
    pub(crate) fn platform(&self) -> Platform {
        Platform::new(&self.os, &self.architecture, self.variant.as_deref())
    }

    /// Begins another stage on it.
    pub(crate) fn begin_stage(&mut self) {
        self.has_own_cmd = false;
    }

    /// Adds a line to its history.
    pub(crate) fn add_history(&mut self, created_by: &str, created: Timestamp, has_layer: bool) {
        let mut entry = json!({ "created": created, "created_by": created_by });
        if !has_layer {
            entry["empty_layer"] = true.into();
        }
        self.history.push(entry);
        self.created = Some(created);
    }

    /// The configuration of an image of these layers, as bytes: the same settings are the same bytes.
    pub(crate) fn encode(&self, layers: &[Digest]) -> Vec<u8> {
        let mut whole = json!({
            "architecture": self.architecture,
            "os": self.os,
            "config": self.settings,
            "rootfs": { "type": "layers", "diff_ids": layers },
            "history": self.history,
        });
        if let Some(variant) = &self.variant {
            whole["variant"] = variant.as_str().into();
        }
        if let Some(created) = self.created {
            whole["created"] = json!(created);
        }
        if let Some(author) = &self.author {
            whole["author"] = author.as_str().into();
        }
        whole.sort_all_objects();
        whole.to_string().into_bytes()
    }

    /// The shell of the shell form.
    pub(crate) fn shell(&self) -> Vec<String> {
        match self.settings.shell.is_empty() {
            true => ["/bin/sh", "-c"].map(str::to_owned).into(),
            false => self.settings.shell.clone(),
        }
    }

    /// A command as words.
    pub(crate) fn words(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(words) => words.clone(),
            Command::Shell(line) if line.is_empty() => Vec::new(),
            Command::Shell(line) => {
                let mut words = self.shell();
                words.push(line.clone());
                words
            }
        }
    }

    /// `CMD`.
    pub(crate) fn set_cmd(&mut self, command: &Command) {
        self.settings.cmd = self.words(command);
        self.has_own_cmd = true;
    }

    /// `ENTRYPOINT`.
    pub(crate) fn set_entrypoint(&mut self, command: &Command) {
        self.settings.entrypoint = self.words(command);
        if !self.has_own_cmd {
            self.settings.cmd = Vec::new();
        }
    }

    /// `HEALTHCHECK`.
    pub(crate) fn set_healthcheck(&mut self, mut check: Value, command: Option<&Command>) {
        match command {
            Some(Command::Exec(words)) => {
                let words = std::iter::once("CMD").chain(words.iter().map(String::as_str));
                check["Test"] = words.collect();
            }
            Some(Command::Shell(line)) => check["Test"] = json!(["CMD-SHELL", line]),
            None => {}
        }
        self.settings.healthcheck = check;
    }

    /// `ENV`.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        let variable = format!("{name}={value}");
        let same =
            |other: &&mut String| other.split_once('=').is_some_and(|(other, _)| other == name);
        match self.settings.env.iter_mut().find(same) {
            Some(other) => *other = variable,
            None => self.settings.env.push(variable),
        }
    }

    /// The value of a variable.
    pub(crate) fn env(&self, name: &str) -> Option<String> {
        let pair = |variable: &String| {
            let (known, value) = variable.split_once('=')?;
            (known == name).then(|| value.to_owned())
        };
        self.settings.env.iter().find_map(pair)
    }

    /// A path seen from the working directory, without `.` and `..`; a slash at its end stays.
    pub(crate) fn absolute(&self, path: &str) -> String {
        let base = if path.starts_with('/') { "" } else { self.settings.working_dir.as_str() };
        let mut clean: Vec<&str> = Vec::new();
        for component in base.split('/').chain(path.split('/')) {
            match component {
                "" | "." => {}
                ".." => drop(clean.pop()),
                name => clean.push(name),
            }
        }
        format!("/{}", clean.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("an object") };
        object
    }

    #[test]
    fn what_is_not_known_is_kept() {
        let before = json!({
            "architecture": "arm", "variant": "v7", "os": "linux", "created": "2024-01-02T03:04:05Z",
            "config": { "Env": null, "Cmd": ["a"], "ArgsEscaped": true },
            "rootfs": { "type": "layers", "diff_ids": [] },
            "history": [{ "created_by": "x" }],
        });
        let mut config = ImageConfig::of(object(before)).unwrap();
        config.set_env("A", "1");
        config.set_env("A", "2");
        let after: Value = serde_json::from_slice(&config.encode(&[])).unwrap();
        assert_eq!(after["variant"], "v7");
        assert_eq!(after["config"], json!({ "ArgsEscaped": true, "Cmd": ["a"], "Env": ["A=2"] }));
        assert_eq!(after["created"], "2024-01-02T03:04:05Z");
    }

    #[test]
    fn an_entrypoint_makes_the_bases_command_meaningless() {
        let base = json!({ "config": { "Cmd": ["base"] } });
        let mut config = ImageConfig::of(object(base)).unwrap();
        config.set_entrypoint(&Command::Shell("a b".into()));
        assert_eq!(config.settings.entrypoint, ["/bin/sh", "-c", "a b"]);
        assert!(config.settings.cmd.is_empty());
        config.set_cmd(&Command::Exec(vec!["own".into()]));
        config.set_entrypoint(&Command::Exec(vec!["b".into()]));
        assert_eq!(config.settings.cmd, ["own"]);
    }

    #[test]
    fn paths_are_seen_from_the_working_directory() {
        let mut config = ImageConfig::scratch(&Platform::host());
        assert_eq!(config.absolute("a/./b"), "/a/b");
        config.settings.working_dir = "/srv/x".to_owned();
        assert_eq!(config.absolute("../y/"), "/srv/y");
        assert_eq!(config.absolute("/../../z"), "/z");
    }
}
