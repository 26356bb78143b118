//! One instruction, understood; variables in it are still to be replaced.

use super::lines::{Document, Line};
use super::words::{self, first};
use crate::error::{Error, Result};

/// Names, and what they are unless given.
pub(crate) type Arguments = Vec<(String, Option<String>)>;

/// What a step of a stage does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Instruction {
    /// `ARG`.
    Arg(Arguments),
    /// `ENV`.
    Env(Vec<(String, String)>),
    /// `LABEL`.
    Label(Vec<(String, String)>),
    /// `COPY` and `ADD`.
    Transfer(Box<Transfer>),
    /// `RUN`.
    Run(Box<RunStep>),
    /// `CMD`.
    Cmd(Command),
    /// `ENTRYPOINT`.
    Entrypoint(Command),
    /// `SHELL`.
    Shell(Vec<String>),
    /// `EXPOSE`.
    Expose(String),
    /// `USER`.
    User(String),
    /// `WORKDIR`.
    Workdir(String),
    /// `VOLUME`.
    Volume(Vec<String>),
    /// `STOPSIGNAL`.
    StopSignal(String),
    /// `HEALTHCHECK`, as the image's configuration has it.
    Healthcheck(serde_json::Value, Option<Command>),
    /// `ONBUILD`: an instruction for who builds on this image.
    Onbuild(String),
    /// `MAINTAINER`.
    Maintainer(String),
}

/// A command as it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// A program and its arguments.
    Exec(Vec<String>),
    /// A line for the shell.
    Shell(String),
}

/// `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Transfer {
    /// Whether it is `ADD`, which unpacks archives.
    pub(crate) unpacks: bool,
    pub(crate) sources: Vec<Origin>,
    pub(crate) destination: String,
    pub(crate) from: Option<String>,
    pub(crate) chown: Option<String>,
    pub(crate) chmod: Option<String>,
    /// Whether the layer is made apart from those below.
    pub(crate) link: bool,
    pub(crate) exclude: Vec<String>,
    /// Whether the directories that lead to a source are copied, too.
    pub(crate) parents: bool,
    /// The digest of what is at an address.
    pub(crate) checksum: Option<String>,
}

/// Where something that is copied comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A path or a pattern.
    Path(String),
    /// A here-document.
    Document(Document),
}

/// `RUN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunStep {
    pub(crate) command: Command,
    pub(crate) documents: Vec<Document>,
    /// `--mount`, each as it is written.
    pub(crate) mounts: Vec<String>,
    pub(crate) network: Option<String>,
}

type Flags = Vec<(String, Option<String>)>;

impl Instruction {
    /// The stages or images that files are taken from.
    pub(crate) fn sources(&self) -> Vec<String> {
        match self {
            Self::Transfer(transfer) => transfer.from.clone().into_iter().collect(),
            Self::Run(run) => {
                let froms = run.mounts.iter().flat_map(|mount| mount.split(','));
                froms.filter_map(|field| field.strip_prefix("from=").map(str::to_owned)).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Understands a line that is no `FROM`.
pub(crate) fn parse_line(line: &Line, escape: char) -> Result<Instruction> {
    let (name, rest) = first(&line.text);
    let name = name.to_ascii_uppercase();
    let parsing = Parsing { line, escape, rest, name: &name };
    let instruction = match name.as_str() {
        "ARG" => Instruction::Arg(parsing.arguments()?),
        "ENV" => Instruction::Env(parsing.pairs()?),
        "LABEL" => Instruction::Label(parsing.pairs()?),
        "COPY" | "ADD" => Instruction::Transfer(Box::new(parsing.transfer()?)),
        "RUN" => Instruction::Run(Box::new(parsing.run()?)),
        "CMD" => Instruction::Cmd(command(rest)),
        "ENTRYPOINT" => Instruction::Entrypoint(command(parsing.something()?)),
        "SHELL" => Instruction::Shell(match words::list(rest) {
            Some(list) if !list.is_empty() => list,
            _ => return Err(parsing.wrong("a JSON list is needed, as in [\"/bin/sh\", \"-c\"]")),
        }),
        "EXPOSE" => Instruction::Expose(parsing.something()?.to_owned()),
        "USER" => Instruction::User(parsing.something()?.to_owned()),
        "WORKDIR" => Instruction::Workdir(parsing.something()?.to_owned()),
        "VOLUME" => Instruction::Volume(match words::list(parsing.something()?) {
            Some(list) => list,
            None => words::split(rest, escape),
        }),
        "STOPSIGNAL" => Instruction::StopSignal(parsing.something()?.to_owned()),
        "HEALTHCHECK" => parsing.healthcheck()?,
        "ONBUILD" => parsing.onbuild()?,
        "MAINTAINER" => Instruction::Maintainer(parsing.something()?.to_owned()),
        "FROM" => return Err(parsing.wrong("it can't be here")),
        _ => {
            let message = format!("unknown instruction '{}'", first(&line.text).0);
            return Err(Error::syntax(line.number, message));
        }
    };
    Ok(instruction)
}

/// A command: a JSON list, else a line for the shell.
fn command(text: &str) -> Command {
    match words::list(text) {
        Some(list) => Command::Exec(list),
        None => Command::Shell(text.to_owned()),
    }
}

struct Parsing<'a> {
    line: &'a Line,
    escape: char,
    name: &'a str,
    rest: &'a str,
}

impl<'a> Parsing<'a> {
    fn wrong(&self, why: impl std::fmt::Display) -> Error {
        Error::syntax(self.line.number, format!("{}: {why}", self.name))
    }

    fn something(&self) -> Result<&'a str> {
        if self.rest.is_empty() {
            return Err(self.wrong("a value is needed"));
        }
        Ok(self.rest)
    }

    fn unknown(&self, flag: &str) -> Error {
        self.wrong(format_args!("the option --{flag} is not supported"))
    }

    fn arguments(&self) -> Result<Arguments> {
        let words = words::split(self.something()?, self.escape);
        let argument = |word: String| match word.split_once('=') {
            Some(("", _)) => Err(self.wrong("a name is needed before '='")),
            Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
            None => Ok((word, None)),
        };
        words.into_iter().map(argument).collect()
    }

    /// `NAME=value…`, or the older `NAME value`.
    fn pairs(&self) -> Result<Vec<(String, String)>> {
        let words = words::split(self.something()?, self.escape);
        if words.first().is_some_and(|word| !word.contains('=')) {
            let (name, value) = first(self.rest);
            if value.is_empty() {
                return Err(self.wrong("NAME=value is needed"));
            }
            return Ok(vec![(name.to_owned(), value.to_owned())]);
        }
        let pair = |word: String| match word.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(self.wrong(format_args!("'{word}': NAME=value is needed"))),
        };
        words.into_iter().map(pair).collect()
    }

    fn transfer(&self) -> Result<Transfer> {
        let (flags, rest) = words::flags(self.rest);
        let mut transfer = Transfer { unpacks: self.name == "ADD", ..Transfer::default() };
        self.transfer_flags(&mut transfer, flags)?;
        let mut words = match words::list(rest) {
            Some(list) => list,
            None => words::split(rest, self.escape),
        };
        let (Some(destination), false) = (words.pop(), words.is_empty()) else {
            return Err(self.wrong("a source and a destination are needed"));
        };
        let mut documents = self.line.documents.iter();
        for word in words {
            transfer.sources.push(
                match word.starts_with("<<").then(|| documents.next()).flatten() {
                    Some(document) => Origin::Document(document.clone()),
                    None => Origin::Path(word),
                },
            );
        }
        if transfer.sources.len() > 1 && !destination.ends_with('/') && destination != "." {
            return Err(self.wrong("with several sources the destination must end with '/'"));
        }
        transfer.destination = destination;
        Ok(transfer)
    }

    fn transfer_flags(&self, transfer: &mut Transfer, flags: Flags) -> Result<()> {
        for (flag, value) in flags {
            match (flag.as_str(), value) {
                ("from", Some(from)) if !transfer.unpacks => transfer.from = Some(from),
                ("chown", Some(owner)) => transfer.chown = Some(owner),
                ("chmod", Some(mode)) => transfer.chmod = Some(mode),
                ("link", None) => transfer.link = true,
                ("link", Some(value)) => transfer.link = self.truth(&value)?,
                ("parents", None) if !transfer.unpacks => transfer.parents = true,
                ("parents", Some(value)) if !transfer.unpacks => {
                    transfer.parents = self.truth(&value)?;
                }
                ("checksum", Some(sum)) if transfer.unpacks => transfer.checksum = Some(sum),
                ("exclude", Some(pattern)) => transfer.exclude.push(pattern),
                _ => return Err(self.unknown(&flag)),
            }
        }
        Ok(())
    }

    fn truth(&self, value: &str) -> Result<bool> {
        match value {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(self.wrong(format_args!("'{value}' is neither true nor false"))),
        }
    }

    fn run(&self) -> Result<RunStep> {
        let (flags, rest) = words::flags(self.rest);
        if rest.is_empty() {
            return Err(self.wrong("a command is needed"));
        }
        let mut run = RunStep {
            command: command(rest),
            documents: self.line.documents.clone(),
            mounts: Vec::new(),
            network: None,
        };
        for (flag, value) in flags {
            match (flag.as_str(), value) {
                ("mount", Some(mount)) => run.mounts.push(mount),
                ("network", Some(network)) => run.network = Some(network),
                ("security", Some(value)) if value == "sandbox" => {}
                _ => return Err(self.unknown(&flag)),
            }
        }
        Ok(run)
    }

    fn healthcheck(&self) -> Result<Instruction> {
        let (flags, rest) = words::flags(self.rest);
        let (kind, rest) = first(rest);
        let mut check = serde_json::Map::new();
        match kind.to_ascii_uppercase().as_str() {
            "NONE" if flags.is_empty() && rest.is_empty() => {
                check.insert("Test".to_owned(), serde_json::json!(["NONE"]));
                return Ok(Instruction::Healthcheck(check.into(), None));
            }
            "CMD" if !rest.is_empty() => {}
            _ => return Err(self.wrong("NONE or CMD and a command are needed")),
        }
        for (flag, value) in flags {
            let value = value.unwrap_or_default();
            let key = match flag.as_str() {
                "interval" => "Interval",
                "timeout" => "Timeout",
                "start-period" => "StartPeriod",
                "start-interval" => "StartInterval",
                "retries" => {
                    let wrong = |_no_number| self.wrong("--retries needs a number");
                    let retries: u32 = value.parse().map_err(wrong)?;
                    check.insert("Retries".to_owned(), retries.into());
                    continue;
                }
                _ => return Err(self.unknown(&flag)),
            };
            let wrong =
                || self.wrong(format_args!("--{flag}={value}: a time is needed, as in 30s"));
            check.insert(key.to_owned(), nanoseconds(&value).ok_or_else(wrong)?.into());
        }
        Ok(Instruction::Healthcheck(check.into(), Some(command(rest))))
    }

    fn onbuild(&self) -> Result<Instruction> {
        let text = self.something()?;
        match first(text).0.to_ascii_uppercase().as_str() {
            name @ ("ONBUILD" | "FROM" | "MAINTAINER") => {
                return Err(self.wrong(format_args!("{name} can't be put off")));
            }
            _ if !self.line.documents.is_empty() => {
                return Err(self.wrong("here-documents can't be put off"));
            }
            _ => {}
        }
        let number = self.line.number;
        let line = Line { number, text: text.to_owned(), documents: Vec::new() };
        parse_line(&line, self.escape)?;
        Ok(Instruction::Onbuild(text.to_owned()))
    }
}

/// `1h30m`, `30s`, `500ms`, in nanoseconds.
fn nanoseconds(text: &str) -> Option<u64> {
    let (mut total, mut rest) = (0_u64, text);
    if text.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let units: [(&str, u64); 6] = [
            ("ns", 1),
            ("us", 1_000),
            ("ms", 1_000_000),
            ("s", 1_000_000_000),
            ("m", 60_000_000_000),
            ("h", 3_600_000_000_000),
        ];
        let (unit, length) = units.into_iter().find(|(unit, _)| {
            rest.strip_prefix(unit).is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
        })?;
        rest = &rest[unit.len()..];
        total = total.checked_add(number.checked_mul(length)?)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Instruction> {
        let line = Line { number: 7, text: text.to_owned(), documents: Vec::new() };
        parse_line(&line, '\\')
    }

    #[test]
    fn an_unknown_instruction_names_its_line() {
        let error = parse("COYP a b").unwrap_err().to_string();
        assert_eq!(error, "line 7: unknown instruction 'COYP'");
    }

    #[test]
    fn commands_are_lists_or_lines() {
        let list = Command::Exec(vec!["a".into(), "b c".into()]);
        assert_eq!(parse(r#"cmd ["a", "b c"]"#).unwrap(), Instruction::Cmd(list));
        let line = Command::Shell("[ -e x ] && y".into());
        assert_eq!(parse("ENTRYPOINT [ -e x ] && y").unwrap(), Instruction::Entrypoint(line));
    }

    #[test]
    fn pairs_are_new_or_old() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let both = vec![pair("A", "1"), pair("B", "\"x y\"")];
        assert_eq!(parse("ENV A=1 B=\"x y\"").unwrap(), Instruction::Env(both));
        let old = vec![pair("A", "b c=d")];
        assert_eq!(parse("LABEL A  b c=d").unwrap(), Instruction::Label(old));
        assert!(parse("ENV A").is_err() && parse("ENV A=1 B").is_err());
    }

    #[test]
    fn times_are_go_s() {
        assert_eq!(nanoseconds("1m30s"), Some(90_000_000_000));
        assert_eq!(nanoseconds("500ms"), Some(500_000_000));
        assert!(nanoseconds("5").is_none() && nanoseconds("").is_none());
    }

    #[test]
    fn what_is_not_supported_or_broken_is_refused() {
        for (text, why) in [
            ("ADD --parents a b", "--parents"),
            ("COPY --checksum=x a b", "--checksum"),
            ("ADD --from=x a b", "--from"),
            ("RUN --security=insecure a", "--security"),
            ("RUN", "command"),
            ("COPY a", "destination"),
            ("COPY a b c", "end with '/'"),
            ("SHELL sh", "JSON"),
            ("HEALTHCHECK", "NONE or CMD"),
            ("HEALTHCHECK --interval=5 CMD a", "as in 30s"),
            ("ONBUILD FROM x", "put off"),
            ("ONBUILD COYP x", "COYP"),
            ("WORKDIR", "value"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("line 7: ") && error.contains(why), "{text}: {error}");
        }
    }
}
