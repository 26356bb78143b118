//! What goes wrong with plugins.

use std::{fmt, io};

/// What can be told apart, to choose a hint or an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is not one that could ever work with this network.
    InvalidInput,
    /// The directory has no configuration, or none of this name.
    NoConfiguration,
    /// A configuration file is not as the specification has it.
    BadConfiguration,
    /// None of the directories has the plugin.
    NoPlugin,
    /// A plugin said no: see [`Error::plugin`].
    Plugin,
    /// A plugin did not end in time, and was killed.
    Timeout,
    /// What a plugin answered is not what the specification asks for.
    BadAnswer,
    /// The attachment is recorded already: it has to be deleted first.
    AlreadyAdded,
    /// There is no record of this attachment's result.
    NotAdded,
    /// A record is not one that this program wrote.
    BadRecord,
    /// A system call failed; see the source.
    System,
}

/// A plugin's own words (specification, section 5, "Error").
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginFailure {
    /// The plugin's `type`.
    pub plugin: String,
    /// `ADD`, `DEL`, `CHECK`, `STATUS` or `GC`.
    pub command: &'static str,
    /// The specification's are below 100; `None` from a plugin that did not say.
    pub code: Option<u64>,
    /// What happened; what it wrote to its standard error, from a plugin that did not say.
    pub message: String,
    /// More words, often empty.
    pub details: String,
}

impl fmt::Display for PluginFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plugin '{}' failed to {}: {}", self.plugin, self.command, self.message)?;
        if !self.details.is_empty() {
            write!(f, ": {}", self.details)?;
        }
        self.code.map_or(Ok(()), |code| write!(f, " (code {code})"))
    }
}

/// A call that failed: what it was about in the message, the kernel's answer in `source()`.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    plugin: Option<Box<PluginFailure>>,
    also: Vec<Error>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of this module's calls.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), plugin: None, also: Vec::new(), source: None }
    }

    /// A system call that failed.
    pub(super) fn system(call: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::new(ErrorKind::System, call).because(source.into())
    }

    /// A plugin that said no.
    pub(super) fn said(failure: PluginFailure) -> Self {
        let error = Self::new(ErrorKind::Plugin, failure.to_string());
        Self { plugin: Some(Box::new(failure)), ..error }
    }

    pub(super) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The first of many, with the others beside it.
    pub(super) fn first(errors: Vec<Self>) -> Result<()> {
        let mut errors = errors.into_iter();
        errors.next().map_or(Ok(()), |first| Err(first.and(errors)))
    }

    pub(super) fn and(mut self, others: impl IntoIterator<Item = Self>) -> Self {
        self.also.extend(others);
        self
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The plugin's own words, if one said no.
    #[must_use]
    pub fn plugin(&self) -> Option<&PluginFailure> {
        self.plugin.as_deref()
    }

    /// What else failed on the way: other plugins of a chain that is deleted, or that is deleted as its addition failed.
    #[must_use]
    pub fn also(&self) -> &[Self] {
        &self.also
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.also.iter().try_for_each(|other| write!(f, "; and then {other}"))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
