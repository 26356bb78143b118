//! Networks that others make: plugins of the Container Network Interface (CNI), specification 1.1.0.
//!
//! A [`Configuration`] names a network and the plugins that make an interface of it, one after another. A [`Client`]
//! runs them, and keeps a record of every attachment in a directory: before the first plugin runs, so that whatever
//! became of its maker, [`Client::delete`] undoes what was done with the configuration that it was done with.
//!
//! Configurations and results of the versions 0.3.0, 0.3.1, 0.4.0, 1.0.0 and 1.1.0 are known.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sandbar_network::cni::{Attachment, AttachmentId, Client, Configuration};
//! use std::path::Path;
//!
//! let network = Configuration::find(Path::new("/etc/cni/net.d"), None)?; // the first by file name
//! let client = Client::new(vec!["/opt/cni/bin".into()], "/var/lib/sandbar/cni".into())?;
//!
//! let web = Attachment::new("4f2a9c", "eth0", "/run/netns/web")?;
//! let added = client.add(&network, &web)?;
//! println!("{:?}", added.addresses_of("eth0").next());
//!
//! client.delete(&web.id(&network), None)?;
//! # Ok(())
//! # }
//! ```
//!
//! A plugin is any program of the given directories; it runs as the caller, with its environment cleared but for
//! `PATH` and the protocol's own variables, in a process group of its own, and is killed at a deadline.

mod attachment;
mod capabilities;
mod client;
mod configuration;
mod directory;
mod error;
mod grammar;
mod plugin;
mod process;
mod record;
mod result;
mod version;

#[cfg(test)]
mod fake;

pub use attachment::{Attachment, AttachmentId};
pub use capabilities::{Bandwidth, PortMapping, RuntimeConfig, Transport};
pub use client::{Asked, Client};
pub use configuration::Configuration;
pub use error::{Error, ErrorKind, PluginFailure, Result};
pub use result::{Address, CniResult, Dns, Interface, Route};
pub use version::Version;
