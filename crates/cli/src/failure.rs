//! The one place that turns an error into a message, a hint and an exit code.

use std::error::Error;
use std::fmt;
use std::io;

use sandbar_engine::Kind;

/// What a step of a command comes to.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// `run`, `create`, `exec` and `start`: Sandbar itself failed, not what it was to run.
pub(crate) const OWN_FAILURE: u8 = 125;
/// The command is there and can't be executed.
const NOT_EXECUTABLE: u8 = 126;
/// The command is not there.
const NOT_THERE: u8 = 127;

/// Why a command can't do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something to be said.
    Told(Box<Told>),
    /// Whoever read the output reads no more. Nothing went wrong, and nobody is there to be told.
    PipeClosed,
    /// All was said already, for each name that failed.
    Said(Option<u8>),
}

/// What is to be said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    message: String,
    hint: Option<String>,
    code: Option<u8>,
}

impl Failure {
    /// A failure of which this is all there is to be said.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Told(Box::new(Told { message, hint: None, code: None }))
    }

    /// What was being done, as in "cannot …", and why it could not.
    pub(crate) fn of(action: impl fmt::Display, cause: impl Into<Cause>) -> Self {
        let Cause { text, hint, code } = cause.into();
        let message = format!("cannot {action}: {text}");
        let hint = hint.map(str::to_owned);
        Self::Told(Box::new(Told { message, hint, code }))
    }

    /// A failure to write to standard output.
    pub(crate) fn of_output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::PipeClosed,
            _ => Self::of("write to standard output", error),
        }
    }

    /// Says what to do in place of what would be said.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Told(told) = &mut self {
            told.hint = Some(hint.into());
        }
        self
    }

    /// What is to be said, without what to do.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Told(told) => &told.message,
            Self::PipeClosed | Self::Said(_) => "",
        }
    }

    /// Says this in place of what would be said.
    pub(crate) fn saying(mut self, message: String) -> Self {
        if let Self::Told(told) = &mut self {
            told.message = message;
        }
        self
    }

    /// Says a little more.
    pub(crate) fn adding(self, more: &str) -> Self {
        let message = format!("{}{more}", self.message());
        self.saying(message)
    }

    /// Says of what this was a part, as in "cannot …".
    pub(crate) fn within(self, action: &str) -> Self {
        let message = format!("cannot {action}: {}", self.message());
        self.saying(message)
    }

    /// Says what to do, if that would not be said.
    pub(crate) fn or_hint(mut self, hint: &str) -> Self {
        if let Self::Told(told) = &mut self {
            told.hint.get_or_insert_with(|| hint.to_owned());
        }
        self
    }

    /// With an exit code of its own.
    pub(crate) fn exit(mut self, code: u8) -> Self {
        if let Self::Told(told) = &mut self {
            told.code = Some(code);
        }
        self
    }

    /// The exit code; `usual` is that of the command's failures.
    pub(crate) fn code(&self, usual: u8) -> u8 {
        match self {
            Self::Told(told) => told.code.unwrap_or(usual),
            Self::Said(code) => code.unwrap_or(usual),
            Self::PipeClosed => 0,
        }
    }

    /// The failure that stands for this one once it is said.
    pub(crate) fn said(&self) -> Self {
        match self {
            Self::Told(told) => Self::Said(told.code),
            Self::Said(code) => Self::Said(*code),
            Self::PipeClosed => Self::PipeClosed,
        }
    }

    /// What to do about it, where that is known.
    pub(crate) fn own_hint(&self) -> Option<&str> {
        match self {
            Self::Told(told) => told.hint.as_deref(),
            Self::Said(_) | Self::PipeClosed => None,
        }
    }

    /// The one or two lines, each with its end; nothing if there is nothing to be said.
    pub(crate) fn lines(&self) -> String {
        let Self::Told(told) = self else { return String::new() };
        let message = one_line(&told.message);
        match &told.hint {
            Some(hint) => format!("sandbar: {message}\nhint: {}\n", one_line(hint)),
            None => format!("sandbar: {message}\n"),
        }
    }
}

/// What a name, a path or a file's content brings along must not forge a line or drive a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Why something could not be done.
#[derive(Debug)]
pub(crate) struct Cause {
    text: String,
    hint: Option<&'static str>,
    code: Option<u8>,
}

impl From<sandbar_resolver::Error> for Cause {
    fn from(error: sandbar_resolver::Error) -> Self {
        Self { text: chain(&error), hint: None, code: None }
    }
}

impl From<sandbar_engine::Error> for Cause {
    fn from(error: sandbar_engine::Error) -> Self {
        let kind = error.kind();
        let code = match kind {
            Kind::CommandNotExecutable => Some(NOT_EXECUTABLE),
            Kind::CommandNotFound => Some(NOT_THERE),
            _ => None,
        };
        Self { text: chain(&error), hint: hint_of(kind), code }
    }
}

/// What to do about damaged images.
const REPAIR: &str = "'sandbar system check --repair' removes what is damaged";

/// What to do about a failure of the engine, where that can be said without knowing more.
fn hint_of(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::NotFound => "'sandbar ps -a' and 'sandbar pod ps -a' show what there is",
        Kind::NoSuchNetwork => "'sandbar network ls' shows what there is",
        Kind::BrokenNetwork => "'sandbar network rm --force' removes what can still be told of it",
        Kind::NotConnected => "'sandbar network inspect' shows which pods are on a network",
        Kind::NoAddress => {
            "'sandbar network inspect' shows who has them: remove some, or make a larger network"
        }
        Kind::Ambiguous => "give more digits of the id, or the name",
        Kind::NameTaken => "choose another name, or remove what has this one",
        Kind::PortTaken => "choose another host port, or stop what uses this one",
        Kind::AddressTaken => "choose another address, or remove what has this one",
        Kind::NotRunning => "'sandbar start' starts it",
        Kind::InUse => "stop and remove what uses it first, or try with -f",
        Kind::Denied => "run sandbar as root",
        Kind::CommandNotFound => "check the command's spelling and that the image has it",
        Kind::CommandNotExecutable => "check the file's mode, and its interpreter or architecture",
        Kind::DamagedImages => REPAIR,
        Kind::NoNetwork => "--net=host and --net=none need no bridge; see 'sandbar info'",
        _ => return None,
    })
}

impl From<sandbar_image::Error> for Cause {
    fn from(error: sandbar_image::Error) -> Self {
        use sandbar_image::ErrorKind;
        let hint = match error.kind() {
            ErrorKind::NotFound => Some("'sandbar images' shows what there is"),
            ErrorKind::Ambiguous => Some("give more digits of the id, or the name"),
            ErrorKind::InUse => Some("remove the containers that use it first: 'sandbar ps -a'"),
            ErrorKind::Referenced => Some("give one of its names, or -f to remove them all"),
            ErrorKind::Busy => Some("try again when others are done with the images"),
            ErrorKind::Corrupt => Some(REPAIR),
            ErrorKind::Remote => of_registry(&error).and_then(|it| hint_of_registry(it.kind())),
            _ => None,
        };
        Self { text: chain(&error), hint, code: None }
    }
}

impl From<sandbar_build::Error> for Cause {
    fn from(error: sandbar_build::Error) -> Self {
        let code = match error.kind() {
            sandbar_build::Kind::Interrupted(signal) => u8::try_from(128 + signal).ok(),
            _ => None,
        };
        Self { text: chain(&error), hint: None, code }
    }
}

impl From<sandbar_registry::Error> for Cause {
    fn from(error: sandbar_registry::Error) -> Self {
        Self { text: chain(&error), hint: hint_of_registry(error.kind()), code: None }
    }
}

/// The registry's error that an error came from.
pub(crate) fn of_registry<'e>(
    error: &'e (dyn Error + 'static),
) -> Option<&'e sandbar_registry::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        let read = error.downcast_ref::<io::Error>().and_then(sandbar_registry::Error::of);
        if let Some(found) = error.downcast_ref().or(read) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What to do about a registry that refuses.
fn hint_of_registry(kind: sandbar_registry::ErrorKind) -> Option<&'static str> {
    use sandbar_registry::ErrorKind;
    Some(match kind {
        ErrorKind::Unauthorized => "'sandbar login' proves who you are; or see --authfile",
        ErrorKind::Forbidden => "ask the registry's owner, or 'sandbar login' as somebody else",
        ErrorKind::Tls => "put its CA into /etc/containers/certs.d/HOST, or see --tls-verify",
        ErrorKind::UnknownHost => "check the registry's name, and this machine's name servers",
        ErrorKind::Stalled | ErrorKind::TooManyRequests => "try again later: it goes on from there",
        _ => return None,
    })
}

/// Errors that say all that there is to know.
macro_rules! plain {
    ($($error:ty),*) => {$(
        impl From<$error> for Cause {
            fn from(error: $error) -> Self {
                Self { text: chain(&error), hint: None, code: None }
            }
        }
    )*};
}
plain!(
    io::Error,
    rustix::io::Errno,
    serde_json::Error,
    sandbar_spec::Invalid,
    sandbar_cgroup::Error,
    sandbar_sys::Failure
);

/// An error and what it came from, leaving out what was said already.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = source.source();
    }
    text
}

/// Says what was being done when something failed.
pub(crate) trait Doing<T> {
    /// Adds what could not be done, as in "cannot …".
    fn doing(self, action: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Cause>> Doing<T> for std::result::Result<T, E> {
    fn doing(self, action: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure::of(action, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_and_a_hint_whatever_is_in_it() {
        let failure = Failure::new("cannot stop a\nsandbar: all is well\x1b[2J").hint("look\n");
        assert_eq!(
            failure.lines(),
            "sandbar: cannot stop a\\nsandbar: all is well\\u{1b}[2J\nhint: look\n"
        );
        assert_eq!(Failure::new("no").lines(), "sandbar: no\n");
    }

    #[test]
    fn sources_are_told_once() {
        let inner = io::Error::other("disk full");
        let outer = io::Error::other(format!("write: {inner}"));
        assert_eq!(chain(&outer), "write: disk full");
        let lines = Failure::of("load x", outer).lines();
        assert_eq!(lines, "sandbar: cannot load x: write: disk full\n");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let failure = Failure::of_output(io::ErrorKind::BrokenPipe.into());
        assert_eq!((failure.code(1), failure.lines().as_str()), (0, ""));
        let failure = Failure::of_output(io::ErrorKind::StorageFull.into());
        assert_eq!(failure.code(1), 1);
        assert!(failure.lines().contains("standard output"));
    }

    #[test]
    fn a_failure_without_a_code_of_its_own_takes_the_commands() {
        assert_eq!(Failure::new("x").code(OWN_FAILURE), 125);
        assert_eq!(Failure::new("x").said().code(1), 1);
        assert_eq!(Failure::Said(Some(127)).code(OWN_FAILURE), 127);
    }
}
