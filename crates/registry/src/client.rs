//! The client: what is known of registries and of who asks, and what was learnt on the way.

mod blob;
mod fetch;
mod login;
mod manifest;
mod push;
mod search;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Mutex;

use ureq::http::Method;

pub use blob::Blob;
pub use fetch::Fetched;
pub use manifest::Manifest;
pub use push::{Content, Pushed};
pub use search::Found;

use crate::certificates;
use crate::configuration::{Configuration, Source};
use crate::connections::{Connections, Request, lock};
use crate::credentials::{Credentials, Keyring};
use crate::error::{ErrorKind, Result};
use crate::location::Location;
use crate::patience::Patience;
use crate::peer::{Peer, Trust, Who, authority_of};
use crate::proxies::Proxies;
use crate::url::Origin;

/// Who asks, and how.
#[derive(Clone, Debug)]
pub struct Access {
    /// What proves who asks, for this once. It goes to the registry that is named, and to none of its mirrors.
    pub credentials: Option<Credentials>,
    /// Where to look for credentials otherwise.
    pub keyring: Keyring,
    /// Whether registries must prove who they are; `None` is as it is configured for each.
    pub tls_verify: Option<bool>,
    /// Directories with certificates, one of each registry's name in each (containers-certs.d(5)).
    pub certificates: Vec<PathBuf>,
    /// What stands between.
    pub proxies: Proxies,
    /// How long to wait, and how often to try.
    pub patience: Patience,
}

impl Access {
    /// As this process's environment and the machine have it.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] if the environment names a proxy that is none.
    pub fn from_environment() -> Result<Self> {
        Ok(Self {
            credentials: None,
            keyring: Keyring::from_environment(),
            tls_verify: None,
            certificates: certificates::usual_directories(),
            proxies: Proxies::from_environment()?,
            patience: Patience::default(),
        })
    }
}

/// A client for all registries, for any number of threads at once. It keeps connections and tokens while it lives.
#[derive(Debug)]
pub struct Client {
    configuration: Configuration,
    given: Option<Credentials>,
    tls_verify: Option<bool>,
    pub(crate) keyring: Keyring,
    pub(crate) connections: Connections,
    /// What proved who asks, by where and for what.
    pub(crate) authorizations: Mutex<HashMap<(Origin, String), String>>,
    /// Registries that need no TLS, and whether they have it.
    secure: Mutex<HashMap<String, bool>>,
    /// Mirrors that could not be reached.
    absent: Mutex<HashSet<String>>,
}

impl Client {
    /// A client. Nothing is read or asked yet.
    #[must_use]
    pub fn new(configuration: &Configuration, access: Access) -> Self {
        let Access { credentials, keyring, tls_verify, certificates, proxies, patience } = access;
        Self {
            configuration: configuration.clone(),
            given: credentials,
            tls_verify,
            keyring,
            connections: Connections::new(patience, proxies, certificates),
            authorizations: Mutex::default(),
            secure: Mutex::default(),
            absent: Mutex::default(),
        }
    }

    /// What `name` may mean: see [`Configuration::resolve`].
    ///
    /// # Errors
    /// As [`Configuration::resolve`].
    pub fn resolve(&self, name: &str) -> Result<Vec<Location>> {
        self.configuration.resolve(name)
    }

    /// The other end for `source`.
    fn peer(&self, source: Source) -> Result<Peer> {
        let authority = authority_of(&source.registry);
        let trust = Trust::new(self.tls_verify, source.insecure, authority);
        let secure = trust == Trust::Verified || self.is_secure(authority, trust)?;
        let who = match &self.given {
            Some(_) if source.is_mirror => Who::Anonymous,
            Some(credentials) => Who::Given(credentials.clone()),
            None => Who::Keyring,
        };
        // There is somebody else to ask.
        let attempts = if source.is_mirror { 1 } else { self.connections.patience.attempts };
        Ok(Peer { origin: Origin::new(secure, authority), source, trust, who, attempts })
    }

    /// Whether a registry that needs no TLS has it. What does not understand TLS is spoken to without.
    fn is_secure(&self, authority: &str, trust: Trust) -> Result<bool> {
        if let Some(secure) = lock(&self.secure).get(authority) {
            return Ok(*secure);
        }
        let origin = Origin::new(true, authority);
        let request = Request::new(Method::GET, origin.url("/v2/"));
        let verify = trust.verifies(&origin);
        let secure = match self.connections.send(&request, None, verify) {
            Ok(_) => true,
            Err(e) if matches!(e.kind(), ErrorKind::UnknownHost | ErrorKind::Configuration) => {
                return Err(e);
            }
            Err(_) => false,
        };
        lock(&self.secure).insert(authority.to_owned(), secure);
        Ok(secure)
    }

    /// Asks the mirrors and then the registry, until one has it. What the registry itself says is what counts.
    fn of_any<T>(&self, location: &Location, ask: impl Fn(&Peer) -> Result<T>) -> Result<T> {
        let mut sources = self.configuration.sources(location)?;
        sources
            .retain(|source| !source.is_mirror || !lock(&self.absent).contains(&source.registry));
        let home = sources.pop();
        for mirror in sources {
            let name = mirror.registry.clone();
            match self.peer(mirror).and_then(|peer| ask(&peer)) {
                Ok(found) => return Ok(found),
                Err(e) => {
                    if matches!(
                        e.kind(),
                        ErrorKind::UnknownHost | ErrorKind::Refused | ErrorKind::Stalled
                    ) {
                        lock(&self.absent).insert(name);
                    }
                }
            }
        }
        let home = home.map_or_else(|| self.configuration.home(location), Ok)?;
        self.peer(home).and_then(|peer| ask(&peer)).map_err(|e| e.within(location))
    }
}
