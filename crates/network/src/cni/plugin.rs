//! One call of one plugin (specification, section 2).

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use serde_json::{Map, Value};

use super::{
    Configuration, Error, ErrorKind, PluginFailure, Result,
    capabilities::select,
    configuration::Plugin,
    process::{Ended, MOST_OUTPUT, run},
};

/// Where plugins look for other programs, `iptables` for one, if the caller does not know either.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where plugins are, and how long each call may take.
#[derive(Clone, Debug)]
pub(super) struct Plugins {
    pub(super) dirs: Vec<PathBuf>,
    pub(super) timeout: Duration,
}

/// What a plugin is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Add,
    Delete,
    Check,
    Status,
    CollectGarbage,
}

impl Command {
    fn word(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Delete => "DEL",
            Self::Check => "CHECK",
            Self::Status => "STATUS",
            Self::CollectGarbage => "GC",
        }
    }
}

/// For which attachment a plugin is called.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) container_id: String,
    pub(super) interface: String,
    /// Missing where the namespace is gone.
    pub(super) netns: Option<PathBuf>,
    pub(super) arguments: Vec<(String, String)>,
    /// What is asked, by capability.
    pub(super) runtime: Map<String, Value>,
}

/// What a plugin is told besides its configuration.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) command: Command,
    pub(super) subject: Option<&'a Subject>,
    /// Keys that are added to its configuration.
    pub(super) extra: &'a [(&'a str, Value)],
}

impl Plugins {
    /// Refuses a network with a plugin that no directory has.
    pub(super) fn check(&self, network: &Configuration) -> Result<()> {
        network.plugins.iter().try_for_each(|plugin| self.find(&plugin.program).map(drop))
    }

    /// With other directories to look in first.
    pub(super) fn or_in(&self, dirs: &[PathBuf]) -> Self {
        let mut all = dirs.to_vec();
        all.extend(self.dirs.iter().filter(|dir| !dirs.contains(dir)).cloned());
        Self { dirs: all, timeout: self.timeout }
    }

    fn find(&self, program: &str) -> Result<PathBuf> {
        let is_program = |path: &PathBuf| {
            fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
        };
        let found = self.dirs.iter().map(|dir| dir.join(program)).find(is_program);
        found.ok_or_else(|| {
            let dirs: Vec<_> = self.dirs.iter().map(|dir| dir.display().to_string()).collect();
            let message = format!("plugin '{program}' is not in {}", dirs.join(", "));
            Error::new(ErrorKind::NoPlugin, message)
        })
    }

    /// Calls a plugin, and returns what it wrote.
    pub(super) fn call(
        &self,
        network: &Configuration,
        plugin: &Plugin,
        request: Request<'_>,
    ) -> Result<Vec<u8>> {
        let program = self.find(&plugin.program)?;
        let input = Value::from(input(network, plugin, request)).to_string();
        let environment = self.environment(request)?;
        let name = &plugin.program;
        let command = request.command.word();
        let ended = run(&program, environment, input.as_bytes(), self.timeout)
            .map_err(|error| Error::system(format!("run {}", program.display()), error))?;
        match ended {
            Ended::Exited { status, stdout, .. } if status.success() => Ok(stdout),
            Ended::Exited { status, stdout, stderr } => {
                let failure = PluginFailure {
                    plugin: name.clone(),
                    command,
                    code: None,
                    message: String::new(),
                    details: String::new(),
                };
                Err(Error::said(words(failure, status, &stdout, &stderr)))
            }
            Ended::TimedOut => {
                let message = format!(
                    "plugin '{name}' did not {command} within {:?} and was killed",
                    self.timeout
                );
                Err(Error::new(ErrorKind::Timeout, message))
            }
            Ended::WroteTooMuch => {
                let message = format!(
                    "plugin '{name}' answered {command} with more than {MOST_OUTPUT} bytes and was killed"
                );
                Err(Error::new(ErrorKind::BadAnswer, message))
            }
        }
    }

    fn environment(&self, request: Request<'_>) -> Result<Vec<(&'static str, OsString)>> {
        let dirs = env::join_paths(&self.dirs).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "a plugin directory's path").because(error)
        })?;
        let path = env::var_os("PATH").filter(|path| !path.is_empty());
        let mut environment = vec![
            ("PATH", path.unwrap_or_else(|| USUAL_PATH.into())),
            ("CNI_COMMAND", request.command.word().into()),
            ("CNI_PATH", dirs),
        ];
        if let Some(subject) = request.subject {
            let arguments: Vec<_> =
                subject.arguments.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let netns = subject.netns.as_deref().map(Path::as_os_str).unwrap_or_default();
            environment.extend([
                ("CNI_CONTAINERID", subject.container_id.clone().into()),
                ("CNI_NETNS", netns.to_owned()),
                ("CNI_IFNAME", subject.interface.clone().into()),
                ("CNI_ARGS", arguments.join(";").into()),
            ]);
        }
        Ok(environment)
    }
}

/// A plugin's configuration with what the runtime adds (specification, section 3, "Deriving request configuration").
fn input(network: &Configuration, plugin: &Plugin, request: Request<'_>) -> Map<String, Value> {
    let mut keys = plugin.keys.clone();
    keys.remove("cniVersions");
    keys.insert("cniVersion".to_owned(), network.version.to_string().into());
    keys.insert("name".to_owned(), network.name.clone().into());
    let runtime = request.subject.map(|it| select(&it.runtime, &plugin.capabilities));
    if let Some(runtime) = runtime.filter(|runtime| !runtime.is_empty()) {
        keys.insert("runtimeConfig".to_owned(), runtime.into());
    }
    keys.extend(request.extra.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    keys
}

/// What a plugin says about its failure: an error as the specification has it, or else what it wrote.
fn words(
    failure: PluginFailure,
    status: ExitStatus,
    stdout: &[u8],
    stderr: &[u8],
) -> PluginFailure {
    let said = serde_json::from_slice::<Value>(stdout).unwrap_or_default();
    let text = |key| said.get(key).and_then(Value::as_str).map(str::to_owned);
    let code = said.get("code").and_then(Value::as_u64);
    let message = text("msg").filter(|message| !message.is_empty());
    if let Some(message) = message.or_else(|| code.map(|_| "no message".to_owned())) {
        let details = text("details").unwrap_or_default();
        return PluginFailure { code, message, details, ..failure };
    }
    let wrote = [stderr, stdout].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
    let wrote = wrote.into_iter().find(|text| !text.is_empty());
    // Whole as it may be, it goes into one line of a message.
    let wrote: String = wrote.unwrap_or_default().chars().take(1000).collect();
    let message = format!("{status}, without an error as the specification has it");
    PluginFailure { message, details: wrote, ..failure }
}
