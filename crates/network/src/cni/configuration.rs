//! A network's configuration: its name, and its plugins in their order (specification, section 1).

use std::{collections::BTreeSet, path::Path};

use serde_json::{Map, Value, json};

use super::{
    Error, ErrorKind, Result, Version,
    directory::{self, Form},
    grammar::{check_name, check_type},
};

/// A network, and the plugins that attach to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) disable_check: bool,
    pub(super) disable_gc: bool,
    pub(super) plugins: Vec<Plugin>,
}

/// One plugin of a chain, as its author configured it: what is not known here is passed on as it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plugin {
    pub(super) program: String,
    pub(super) capabilities: BTreeSet<String>,
    pub(super) keys: Map<String, Value>,
}

impl Configuration {
    /// The network called `name` that a file of `dir` configures, or without a name that of the first file.
    ///
    /// Files that end in `.conflist`, `.conf` or `.json` count, in order of their names; all are read, and one that
    /// is wrong is an error whichever network was asked for. A list to which `loadOnlyInlinedPlugins` does not apply
    /// goes on with the plugins of `DIR/NAME/*.conf`.
    ///
    /// # Errors
    /// `NoConfiguration`, `BadConfiguration`, `System`.
    pub fn find(dir: &Path, name: Option<&str>) -> Result<Self> {
        directory::find(dir, name)
    }

    /// The network's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the specification in which it and its plugins speak.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether a plugin asks for this capability, as `portMappings` (CONVENTIONS.md of the CNI project).
    #[must_use]
    pub fn has_capability(&self, capability: &str) -> bool {
        self.plugins.iter().any(|plugin| plugin.capabilities.contains(capability))
    }

    /// Reads one file's text.
    pub(super) fn parse(text: &[u8], form: Form, file: &Path) -> Result<Unfinished> {
        let bad = |why: String| bad_file(file, why);
        let value: Value = serde_json::from_slice(text)
            .map_err(|error| bad("not JSON".to_owned()).because(error))?;
        let Value::Object(keys) = value else { return Err(bad("not a JSON object".to_owned())) };
        Self::read(keys, form).map_err(bad)
    }

    /// What `to_value` made.
    pub(super) fn from_value(value: Value) -> std::result::Result<Self, String> {
        let Value::Object(keys) = value else { return Err("not a JSON object".to_owned()) };
        Ok(Self::read(keys, Form::List)?.configuration)
    }

    fn read(mut keys: Map<String, Value>, form: Form) -> std::result::Result<Unfinished, String> {
        let name = text_of(&keys, "name")?.to_owned();
        check_name(&name).map_err(|why| format!("name: {why}"))?;
        let version = version(&keys)?;
        if form == Form::Either && !keys.contains_key("plugins") {
            let plugin = Plugin::read(keys)?;
            let (disable_check, disable_gc) = (false, false);
            let plugins = vec![plugin];
            let configuration = Self { name, version, disable_check, disable_gc, plugins };
            return Ok(Unfinished { configuration, more: More::None });
        }
        let more = match flag(&keys, "loadOnlyInlinedPlugins")? {
            true => More::None,
            false => More::InFolder,
        };
        let plugins = match keys.remove("plugins") {
            Some(Value::Array(plugins)) if plugins.is_empty() => {
                return Err("plugins: empty".to_owned());
            }
            Some(Value::Array(plugins)) => plugins
                .into_iter()
                .enumerate()
                .map(inlined)
                .collect::<std::result::Result<_, _>>()?,
            Some(_) => return Err("plugins: not a list".to_owned()),
            None if more == More::InFolder => Vec::new(),
            None => return Err("plugins: missing".to_owned()),
        };
        let configuration = Self {
            name,
            version,
            disable_check: flag(&keys, "disableCheck")?,
            disable_gc: flag(&keys, "disableGC")?,
            plugins,
        };
        Ok(Unfinished { configuration, more })
    }

    /// All of it in one object, as `from_value` reads it.
    pub(super) fn to_value(&self) -> Value {
        let plugins: Vec<_> = self.plugins.iter().map(|plugin| plugin.keys.clone()).collect();
        json!({
            "name": self.name,
            "cniVersion": self.version.to_string(),
            "disableCheck": self.disable_check,
            "disableGC": self.disable_gc,
            "loadOnlyInlinedPlugins": true,
            "plugins": plugins,
        })
    }
}

/// A configuration that may have more plugins elsewhere.
pub(super) struct Unfinished {
    pub(super) configuration: Configuration,
    pub(super) more: More,
}

/// Where else a list's plugins are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    None,
    InFolder,
}

impl Plugin {
    /// A plugin of a file of its own.
    pub(super) fn parse(text: &[u8], file: &Path) -> Result<Self> {
        let bad = |why: String| bad_file(file, why);
        match serde_json::from_slice(text) {
            Ok(Value::Object(keys)) => Self::read(keys).map_err(bad),
            Ok(_) => Err(bad("not a JSON object".to_owned())),
            Err(error) => Err(bad("not JSON".to_owned()).because(error)),
        }
    }

    fn read(keys: Map<String, Value>) -> std::result::Result<Self, String> {
        let program = text_of(&keys, "type")?.to_owned();
        check_type(&program).map_err(|why| format!("type: {why}"))?;
        // What Sandbar itself tells plugins; a stale one in a file would mislead them.
        let reserved = |key: &&String| {
            matches!(key.as_str(), "runtimeConfig" | "prevResult") || key.starts_with("cni.dev/")
        };
        if let Some(key) = keys.keys().find(reserved) {
            return Err(format!("{key}: is for the runtime to set, not for a configuration"));
        }
        let capabilities = match keys.get("capabilities") {
            None | Some(Value::Null) => BTreeSet::new(),
            Some(Value::Object(capabilities)) => capabilities
                .iter()
                .filter_map(|(name, value)| match value {
                    Value::Bool(true) => Some(Ok(name.clone())),
                    Value::Bool(false) => None,
                    _ => Some(Err(format!("capabilities.{name}: neither true nor false"))),
                })
                .collect::<std::result::Result<_, _>>()?,
            Some(_) => return Err("capabilities: not an object".to_owned()),
        };
        Ok(Self { program, capabilities, keys })
    }
}

fn inlined((index, plugin): (usize, Value)) -> std::result::Result<Plugin, String> {
    let Value::Object(keys) = plugin else {
        return Err(format!("plugins[{index}]: not an object"));
    };
    Plugin::read(keys).map_err(|why| format!("plugins[{index}].{why}"))
}

pub(super) fn bad_file(file: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::BadConfiguration, format!("{}: {why}", file.display()))
}

/// The highest of `cniVersion` and `cniVersions` that is known here.
fn version(keys: &Map<String, Value>) -> std::result::Result<Version, String> {
    let Some(list) = keys.get("cniVersions") else {
        return text_of(keys, "cniVersion")?.parse().map_err(|why| format!("cniVersion: {why}"));
    };
    let Value::Array(list) = list else { return Err("cniVersions: not a list".to_owned()) };
    let mut known = Vec::new();
    for version in list {
        let version = version.as_str().ok_or("cniVersions: not a list of strings")?;
        known.extend(version.parse::<Version>());
    }
    if keys.contains_key("cniVersion") {
        known.extend(text_of(keys, "cniVersion")?.parse::<Version>());
    }
    known.into_iter().max().ok_or_else(|| "cniVersions: has none that is known".to_owned())
}

fn text_of<'a>(keys: &'a Map<String, Value>, key: &str) -> std::result::Result<&'a str, String> {
    match keys.get(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("{key}: not a string")),
        None => Err(format!("{key}: missing")),
    }
}

/// A flag; libcni takes the words, too.
fn flag(keys: &Map<String, Value>, key: &str) -> std::result::Result<bool, String> {
    match keys.get(key) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(Value::String(word)) if word.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(word)) if word.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(format!("{key}: neither true nor false")),
    }
}
