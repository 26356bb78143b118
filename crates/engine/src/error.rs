//! Why something could not be done with a pod or a container.

use sandbar_spec::Invalid;
use sandbar_spec::control::Failure as ControlFailure;
use sandbar_sys::Failure;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why something could not be done with a pod or a container.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
    #[source]
    source: Option<Source>,
}

/// What kind of error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is no such pod, container or image.
    NotFound,
    /// There is no such network.
    NoSuchNetwork,
    /// The network's record can't be read.
    BrokenNetwork,
    /// The pod is not on the network.
    NotConnected,
    /// The beginning of an id is that of several.
    Ambiguous,
    /// The name is another's.
    NameTaken,
    /// The host's port is another's.
    PortTaken,
    /// The address on a network is another's.
    AddressTaken,
    /// It is not running.
    NotRunning,
    /// It is running, or others need it.
    InUse,
    /// The caller may not do this.
    Denied,
    /// What was asked contradicts itself or is malformed.
    Invalid,
    /// What was asked is not to be had here.
    Unsupported,
    /// The program is not in the container.
    CommandNotFound,
    /// The program is there but can't be executed.
    CommandNotExecutable,
    /// The network can't be made.
    NoNetwork,
    /// The network has no address left.
    NoAddress,
    /// What is kept of images is damaged.
    DamagedImages,
    /// A system call failed, or a record on disk is not what it must be.
    System,
}

impl Error {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    pub(crate) fn caused(
        kind: Kind,
        message: impl Into<String>,
        source: impl Into<Source>,
    ) -> Self {
        Self { kind, message: message.into(), source: Some(source.into()) }
    }

    /// The same, said of a network.
    pub(crate) fn in_network(mut self, network: &sandbar_spec::NetworkConfig) -> Self {
        self.message = format!("network '{}': {}", network.name, self.message);
        self
    }

    /// What kind of error it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What a supervisor answered.
    pub(crate) fn answered(kind: ControlFailure, message: String) -> Self {
        let kind = match kind {
            ControlFailure::CommandNotFound => Kind::CommandNotFound,
            ControlFailure::CommandNotExecutable => Kind::CommandNotExecutable,
            ControlFailure::NotRunning => Kind::NotRunning,
            ControlFailure::Other => Kind::System,
        };
        Self::new(kind, message)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::new(Kind::System, failure.to_string())
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::new(Kind::Invalid, invalid.to_string())
    }
}

impl From<sandbar_supervisor::Error> for Error {
    fn from(error: sandbar_supervisor::Error) -> Self {
        Self::new(Kind::System, error.one_line())
    }
}

impl From<sandbar_image::Error> for Error {
    fn from(error: sandbar_image::Error) -> Self {
        use sandbar_image::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::NotFound => Kind::NotFound,
            ErrorKind::Ambiguous => Kind::Ambiguous,
            ErrorKind::InvalidReference => Kind::Invalid,
            ErrorKind::InUse => Kind::InUse,
            ErrorKind::Corrupt => Kind::DamagedImages,
            _ => Kind::System,
        };
        Self::new(kind, chain(&error))
    }
}

impl From<sandbar_cgroup::Error> for Error {
    fn from(error: sandbar_cgroup::Error) -> Self {
        Self::new(Kind::System, chain(&error))
    }
}

impl From<sandbar_network::Error> for Error {
    fn from(error: sandbar_network::Error) -> Self {
        use sandbar_network::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::PortTaken => Kind::PortTaken,
            ErrorKind::AddressTaken => Kind::AddressTaken,
            ErrorKind::Exhausted => Kind::NoAddress,
            ErrorKind::InvalidInput
            | ErrorKind::NotLocal
            | ErrorKind::SubnetTaken
            | ErrorKind::InterfaceTaken => Kind::Invalid,
            _ => Kind::NoNetwork,
        };
        Self::new(kind, chain(&error))
    }
}

impl From<sandbar_resolver::Error> for Error {
    fn from(error: sandbar_resolver::Error) -> Self {
        use sandbar_resolver::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::InvalidInput => Kind::Invalid,
            ErrorKind::AddressTaken => Kind::NoNetwork,
            ErrorKind::PermissionDenied => Kind::Denied,
            _ => Kind::System,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<sandbar_network::cni::Error> for Error {
    fn from(error: sandbar_network::cni::Error) -> Self {
        use sandbar_network::cni::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::NoConfiguration | ErrorKind::BadConfiguration => {
                Kind::Invalid
            }
            // Not `NoNetwork`: what a plugin could not undo is not to be forgotten.
            _ => Kind::System,
        };
        Self::new(kind, chain(&error))
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line.push_str(": ");
        line.push_str(&error.to_string());
        source = error.source();
    }
    line
}
