//! The one error of this crate.

use std::io;

use rustix::io::Errno;

use crate::netlink::Refusal;

/// What can be told apart, to choose a hint or an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is not one that could ever work.
    InvalidInput,
    /// Every address of the subnet is leased.
    Exhausted,
    /// An address that was asked for is leased to another.
    AddressTaken,
    /// The host's port is published already, or a process of the host holds it.
    PortTaken,
    /// The bridge's subnet overlaps a route or an address of another interface.
    SubnetTaken,
    /// An interface of this name exists and is not the one that was meant.
    InterfaceTaken,
    /// The address to publish at is not one of the host's.
    NotLocal,
    /// The bridge or the nftables table is not there: [`Bridge::ensure`](crate::Bridge::ensure) makes them.
    NotReady,
    /// The kernel lacks nftables or a part of it.
    NoNftables,
    /// The kernel lacks bridges.
    NoBridge,
    /// The kernel lacks veth pairs.
    NoVeth,
    /// The caller lacks `CAP_NET_ADMIN` (or, to enter a network namespace, `CAP_SYS_ADMIN`).
    PermissionDenied,
    /// Others changed the firewall without a pause, and this call never had its turn.
    Busy,
    /// Another system call failed; see the source.
    System,
}

/// A call that failed: its arguments in the message, the kernel's answer in `source()`.
#[derive(Debug, thiserror::Error)]
#[error("{call}")]
pub struct Error {
    kind: ErrorKind,
    call: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The result of this crate's calls.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, call: impl Into<String>) -> Self {
        Self { kind, call: call.into(), source: None }
    }

    /// A system call that failed.
    pub(crate) fn system(call: impl Into<String>, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        Self {
            kind: kind_of(source.raw_os_error()),
            call: call.into(),
            source: Some(Box::new(source)),
        }
    }

    /// A request that the kernel refused over netlink.
    pub(crate) fn refused(call: impl Into<String>, source: Refusal) -> Self {
        let kind = kind_of(Some(source.errno().raw_os_error()));
        Self { kind, call: call.into(), source: Some(Box::new(source)) }
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

fn kind_of(errno: Option<i32>) -> ErrorKind {
    match errno.map(Errno::from_raw_os_error) {
        Some(Errno::PERM | Errno::ACCESS) => ErrorKind::PermissionDenied,
        _ => ErrorKind::System,
    }
}
