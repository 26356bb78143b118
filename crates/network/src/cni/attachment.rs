//! An interface of a container on a network.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{
    Configuration, Error, ErrorKind, Result, RuntimeConfig,
    grammar::{check_argument, check_interface, check_name},
};

/// An interface that a container is to get.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Attachment {
    /// The container's id: a letter or digit, then letters, digits, `_`, `.` and `-`.
    pub container_id: String,
    /// The name of the interface in the container.
    pub interface: String,
    /// A path to the network namespace, for as long as the plugins run.
    pub netns: PathBuf,
    /// Keys and values for `CNI_ARGS`.
    pub arguments: Vec<(String, String)>,
    /// What is asked of those plugins that can do it.
    pub runtime: RuntimeConfig,
}

impl Attachment {
    /// One of which nothing in particular is asked.
    ///
    /// # Errors
    /// `InvalidInput` for an id or an interface's name that the specification does not let be, or a path that is not
    /// absolute.
    pub fn new(container_id: &str, interface: &str, netns: impl AsRef<Path>) -> Result<Self> {
        let attachment = Self {
            container_id: container_id.to_owned(),
            interface: interface.to_owned(),
            netns: netns.as_ref().to_owned(),
            arguments: Vec::new(),
            runtime: RuntimeConfig::default(),
        };
        attachment.check()?;
        Ok(attachment)
    }

    /// What it is called on a network.
    #[must_use]
    pub fn id(&self, network: &Configuration) -> AttachmentId {
        AttachmentId {
            network: network.name().to_owned(),
            container_id: self.container_id.clone(),
            interface: self.interface.clone(),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let bad = |what: &str, why: String| {
            Error::new(ErrorKind::InvalidInput, format!("{what} of an attachment: {why}"))
        };
        check_name(&self.container_id).map_err(|why| bad("container_id", why))?;
        check_interface(&self.interface).map_err(|why| bad("interface", why))?;
        absolute(&self.netns, "netns of an attachment")?;
        let mut arguments = self.arguments.iter();
        arguments.try_for_each(check_argument).map_err(|why| bad("arguments", why))
    }
}

pub(super) fn absolute(path: &Path, what: &str) -> Result<()> {
    if path.is_absolute() {
        return Ok(());
    }
    let message = format!("{what}: '{}' is not an absolute path", path.display());
    Err(Error::new(ErrorKind::InvalidInput, message))
}

/// What tells attachments apart: no two are of one network, container and interface.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct AttachmentId {
    /// The network's name.
    pub network: String,
    /// The container's id.
    pub container_id: String,
    /// The name of the interface in the container.
    pub interface: String,
}

impl AttachmentId {
    /// By its three names.
    ///
    /// # Errors
    /// `InvalidInput` for one that the specification does not let be.
    pub fn new(network: &str, container_id: &str, interface: &str) -> Result<Self> {
        let bad = |what: &str, why: String| {
            Error::new(ErrorKind::InvalidInput, format!("{what} of an attachment: {why}"))
        };
        check_name(network).map_err(|why| bad("network", why))?;
        check_name(container_id).map_err(|why| bad("container_id", why))?;
        check_interface(interface).map_err(|why| bad("interface", why))?;
        Ok(Self {
            network: network.to_owned(),
            container_id: container_id.to_owned(),
            interface: interface.to_owned(),
        })
    }
}

impl fmt::Display for AttachmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of container {} on network '{}'",
            self.interface, self.container_id, self.network
        )
    }
}
