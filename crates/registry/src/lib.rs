//! A client for OCI registries: what names mean, who asks, and pulls and pushes that survive bad networks.
//!
//! It speaks the [distribution specification](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md)
//! and knows the files of the tools around it: registries.conf(5), containers-auth.json(5), containers-certs.d(5) and
//! Docker's `config.json`. It knows of no store: what is pulled is given to the caller as it comes.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sandbar_registry::{Access, Client, Configuration};
//!
//! let client = Client::new(&Configuration::load()?, Access::from_environment()?);
//! for location in client.resolve("alpine:3")? {
//!     let manifest = client.manifest(&location)?;
//!     println!("{location} is {} of kind {}", manifest.digest, manifest.media_type);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//! - All calls block; there is no thread and no runtime behind them. A [`Client`] serves any number of threads.
//! - A digest is checked before it is part of an address, and content against its digest: a [`Manifest`] always, a
//!   [`Blob`] that is read from its beginning.
//! - What proves who asks goes to the registry's own origin, and to the token service that it names, with TLS. No
//!   redirection takes it along, nobody else's 401 is answered, and the `urls` of foreign layers are never fetched.
//! - Without TLS nothing is spoken to but this machine itself and what is configured, or asked, to be insecure.
//! - Manifests have at most 4 MiB, tokens 1 MiB; redirections, attempts and pauses are bounded.
//!
//! Why it is not built on a crate for OCI registries: `docs/design/0010-registries.md`.

#![forbid(unsafe_code)]

mod answer;
mod certificates;
mod challenge;
mod client;
mod configuration;
mod connections;
mod credentials;
mod digest;
mod error;
mod exchange;
mod location;
mod patience;
mod peer;
mod proxies;
mod token;
mod url;

pub use client::{Access, Blob, Client, Content, Fetched, Found, Manifest, Pushed};
pub use configuration::Configuration;
pub use credentials::{Credentials, Keyring};
pub use digest::Digest;
pub use error::{Error, ErrorKind, Result};
pub use location::Location;
pub use patience::Patience;
pub use proxies::Proxies;
