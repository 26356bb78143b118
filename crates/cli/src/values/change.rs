//! `import --change` and `commit --change`: what a new image's configuration says, in the words of a Dockerfile.

use std::str::FromStr;

use sandbar_image::Settings;
use sandbar_spec::{Invalid, SignalNumber};
use serde_json::{Map, Value, json};

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// `CMD`.
    Command(Vec<String>),
    /// `ENTRYPOINT`.
    Entrypoint(Vec<String>),
    /// `ENV`: `NAME=value` each.
    Environment(Vec<String>),
    /// `WORKDIR`.
    WorkingDirectory(String),
    /// `USER`.
    User(String),
    /// `EXPOSE`.
    Ports(Vec<String>),
    /// `STOPSIGNAL`.
    StopSignal(String),
    /// `LABEL`: names and values.
    Labels(Vec<(String, String)>),
    /// `VOLUME`.
    Volumes(Vec<String>),
    /// `ONBUILD`: an instruction for who builds upon the image.
    OnBuild(String),
}

impl FromStr for Change {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = |reason: &str| Invalid::new("change", text, reason);
        let (instruction, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text, ""));
        let rest = rest.trim();
        if rest.is_empty() {
            return Err(wrong("an instruction and its value are needed, as in 'CMD /bin/sh'"));
        }
        Ok(match instruction.to_ascii_uppercase().as_str() {
            "CMD" => Self::Command(command(rest).map_err(|reason| wrong(&reason))?),
            "ENTRYPOINT" => Self::Entrypoint(command(rest).map_err(|reason| wrong(&reason))?),
            "ENV" => Self::Environment(environment(rest).map_err(wrong)?),
            "WORKDIR" if rest.starts_with('/') => Self::WorkingDirectory(rest.to_owned()),
            "WORKDIR" => return Err(wrong("the working directory must be absolute")),
            "USER" => Self::User(rest.to_owned()),
            "EXPOSE" => Self::Ports(
                rest.split_whitespace().map(port).collect::<Result<_, _>>().map_err(wrong)?,
            ),
            "STOPSIGNAL" => Self::StopSignal(rest.parse::<SignalNumber>()?.to_string()),
            "LABEL" => Self::Labels(
                environment(rest)
                    .map_err(wrong)?
                    .iter()
                    .filter_map(|word| word.split_once('='))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
            ),
            "VOLUME" => Self::Volumes(volumes(rest).map_err(|reason| wrong(&reason))?),
            "ONBUILD" => Self::OnBuild(rest.to_owned()),
            _ => {
                return Err(wrong(
                    "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and \
                     WORKDIR are known",
                ));
            }
        })
    }
}

impl Change {
    /// Makes the change; of what can be there only once the last one counts.
    pub(crate) fn apply(self, settings: &mut Settings) {
        match self {
            Self::Command(words) => settings.cmd = words,
            Self::Entrypoint(words) => settings.entrypoint = words,
            Self::Environment(variables) => settings.env.extend(variables),
            Self::WorkingDirectory(path) => settings.working_dir = Some(path),
            Self::User(user) => settings.user = Some(user),
            Self::Ports(ports) => settings.exposed_ports.extend(ports),
            Self::StopSignal(signal) => settings.stop_signal = Some(signal),
            Self::Labels(labels) => settings.labels.extend(labels),
            Self::Volumes(paths) => settings.volumes.extend(paths),
            Self::OnBuild(instruction) => settings.on_build.push(instruction),
        }
    }

    /// Makes the change to the part `config` of a configuration, as it is in JSON.
    pub(crate) fn amend(&self, config: &mut Map<String, Value>) {
        let mut set = |key: &str, value: Value| {
            config.insert(key.to_owned(), value);
        };
        match self {
            Self::Command(words) => set("Cmd", json!(words)),
            Self::Entrypoint(words) => set("Entrypoint", json!(words)),
            Self::WorkingDirectory(path) => set("WorkingDir", json!(path)),
            Self::User(user) => set("User", json!(user)),
            Self::StopSignal(signal) => set("StopSignal", json!(signal)),
            Self::Environment(variables) => {
                let mut known = list(config, "Env");
                for variable in variables {
                    let name = variable.split_once('=').map_or(&**variable, |(name, _)| name);
                    let is_it = |known: &&mut Value| {
                        known.as_str().and_then(|known| known.split('=').next()) == Some(name)
                    };
                    match known.iter_mut().find(is_it) {
                        Some(known) => *known = json!(variable),
                        None => known.push(json!(variable)),
                    }
                }
                config.insert("Env".to_owned(), json!(known));
            }
            Self::OnBuild(instruction) => {
                let mut known = list(config, "OnBuild");
                known.push(json!(instruction));
                config.insert("OnBuild".to_owned(), json!(known));
            }
            Self::Ports(names) => {
                insert(config, "ExposedPorts", names.iter().map(|it| (it, json!({}))));
            }
            Self::Volumes(names) => {
                insert(config, "Volumes", names.iter().map(|it| (it, json!({}))));
            }
            Self::Labels(all) => insert(config, "Labels", all.iter().map(|(k, v)| (k, json!(v)))),
        }
    }
}

/// Takes the list that a configuration has there; an empty one if it has none.
fn list(config: &mut Map<String, Value>, key: &str) -> Vec<Value> {
    match config.remove(key) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

/// Adds to what a configuration has there by name.
fn insert<'n>(
    config: &mut Map<String, Value>,
    key: &str,
    more: impl Iterator<Item = (&'n String, Value)>,
) {
    let mut all = match config.remove(key) {
        Some(Value::Object(all)) => all,
        _ => Map::new(),
    };
    all.extend(more.map(|(name, value)| (name.clone(), value)));
    config.insert(key.to_owned(), Value::Object(all));
}

/// A JSON list of paths, else words.
fn volumes(text: &str) -> Result<Vec<String>, String> {
    let paths: Vec<String> = match text.starts_with('[') {
        true => serde_json::from_str(text)
            .map_err(|error| format!("a JSON list of strings is needed: {error}"))?,
        false => words(text)?,
    };
    match paths.iter().all(|path| path.starts_with('/')) {
        true => Ok(paths),
        false => Err("a volume's path must be absolute".to_owned()),
    }
}

/// A JSON list of words, else a line for a shell.
fn command(text: &str) -> Result<Vec<String>, String> {
    if text.starts_with('[') {
        return serde_json::from_str(text)
            .map_err(|error| format!("a JSON list of strings is needed: {error}"));
    }
    Ok(vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()])
}

/// `NAME=value NAME="a value"…`, or the older `NAME value`.
fn environment(text: &str) -> Result<Vec<String>, &'static str> {
    let words = words(text)?;
    let is_name = |name: &str| !name.is_empty() && !name.contains(char::is_whitespace);
    let has_name = |word: &String| word.split_once('=').is_some_and(|(name, _)| is_name(name));
    match words.first() {
        Some(first) if !first.contains('=') => match text.split_once(char::is_whitespace) {
            Some((name, value)) => Ok(vec![format!("{name}={}", value.trim())]),
            None => Err("NAME=value is needed"),
        },
        _ if words.iter().all(has_name) => Ok(words),
        _ => Err("NAME=value is needed"),
    }
}

/// Words as a shell separates them: quotes hold them together, a backslash takes what follows as it is.
fn words(text: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', None | Some('"')) => match characters.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err("something is needed after the last backslash"),
            },
            ('"' | '\'', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (_, Some(end)) if character == end => quote = None,
            (_, None) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed");
    }
    words.extend(word);
    Ok(words)
}

/// `PORT`, `PORT/tcp` or `PORT/udp`; TCP unless it is said.
fn port(text: &str) -> Result<String, &'static str> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    match (number.parse::<std::num::NonZeroU16>(), protocol) {
        (Ok(number), "tcp" | "udp" | "sctp") => Ok(format!("{number}/{protocol}")),
        _ => Err("a port is a number from 1 to 65535, with /tcp, /udp or /sctp"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(changes: &[&str]) -> Settings {
        let mut settings = Settings::default();
        for change in changes {
            change.parse::<Change>().unwrap().apply(&mut settings);
        }
        settings
    }

    #[test]
    fn instructions_are_a_dockerfiles() {
        let it = settings(&[
            "CMD echo hello",
            r#"ENTRYPOINT ["/init", "-x"]"#,
            r#"ENV A=1 B="two words" C=a\ b"#,
            "env OLD is a value",
            "WORKDIR /srv",
            "USER 1:2",
            "EXPOSE 80 53/udp",
            "STOPSIGNAL quit",
            "LABEL a=1 b='two words'",
            "VOLUME /one /two",
            "VOLUME [\"/three\"]",
            "ONBUILD RUN make",
        ]);
        assert_eq!(it.cmd, ["/bin/sh", "-c", "echo hello"]);
        assert_eq!(it.entrypoint, ["/init", "-x"]);
        assert_eq!(it.env, ["A=1", "B=two words", "C=a b", "OLD=is a value"]);
        assert_eq!(it.working_dir.as_deref(), Some("/srv"));
        assert_eq!(it.user.as_deref(), Some("1:2"));
        assert_eq!(it.exposed_ports, ["80/tcp", "53/udp"]);
        assert_eq!(it.stop_signal.as_deref(), Some("SIGQUIT"));
        assert_eq!(it.labels["b"], "two words");
        assert_eq!(it.volumes, ["/one", "/two", "/three"]);
        assert_eq!(it.on_build, ["RUN make"]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            "",
            "CMD",
            "RUN ls",
            "CMD [sh]",
            "ENV A",
            "ENV A=\"x",
            "ENV A=1 B",
            "ENV =x",
            "WORKDIR srv",
            "EXPOSE 0",
            "EXPOSE 80/icmp",
            "STOPSIGNAL NOPE",
            "LABEL",
            "LABEL a",
            "VOLUME data",
            "VOLUME [data]",
            "HEALTHCHECK NONE",
        ] {
            assert!(bad.parse::<Change>().is_err(), "{bad}");
        }
    }
}
