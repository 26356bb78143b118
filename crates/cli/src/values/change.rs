//! `import --change`: what a new image's configuration says, in the words of a Dockerfile.

use std::str::FromStr;

use sandbar_image::Settings;
use sandbar_spec::{Invalid, SignalNumber};

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
            _ => {
                let reason = "CMD, ENTRYPOINT, ENV, WORKDIR, USER, EXPOSE and STOPSIGNAL are known";
                return Err(wrong(reason));
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
        }
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
        ]);
        assert_eq!(it.cmd, ["/bin/sh", "-c", "echo hello"]);
        assert_eq!(it.entrypoint, ["/init", "-x"]);
        assert_eq!(it.env, ["A=1", "B=two words", "C=a b", "OLD=is a value"]);
        assert_eq!(it.working_dir.as_deref(), Some("/srv"));
        assert_eq!(it.user.as_deref(), Some("1:2"));
        assert_eq!(it.exposed_ports, ["80/tcp", "53/udp"]);
        assert_eq!(it.stop_signal.as_deref(), Some("SIGQUIT"));
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
        ] {
            assert!(bad.parse::<Change>().is_err(), "{bad}");
        }
    }
}
