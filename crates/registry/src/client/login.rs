//! Logins: credentials are checked with the registry before they are kept.

use std::path::Path;

use ureq::http::Method;

use crate::answer::expect;
use crate::client::Client;
use crate::connections::{Request, lock};
use crate::credentials::Credentials;
use crate::error::Result;
use crate::peer::Who;

impl Client {
    /// Checks credentials with a registry and keeps them. `key` is the registry, or `registry/namespace` for
    /// credentials that are for a part of it. The file is given back that has them, or names the helper that has.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthorized`](crate::ErrorKind::Unauthorized) if the registry does not take them, and
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) if they can't be kept.
    pub fn login(&self, key: &str, credentials: &Credentials) -> Result<&Path> {
        let key = known_as(key);
        let registry = key.split('/').next().unwrap_or(key);
        let mut peer = self.peer(self.configuration.registry(registry)?)?;
        peer.who = Who::Given(credentials.clone());
        lock(&self.authorizations).retain(|(origin, _), _| *origin != peer.origin);
        self.patiently(peer.attempts, || {
            let request = Request::new(Method::GET, peer.origin.url("/v2/"));
            expect(&peer.origin, self.ask(&peer, request, "")?, &[200])
        })
        .map_err(|e| e.within(format!("login to {registry}")))?;
        self.keyring.store(key, credentials)
    }

    /// Forgets the credentials kept under `key`. Whether there were any.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) if they can't be forgotten, or another program keeps
    /// them.
    pub fn logout(&self, key: &str) -> Result<bool> {
        let key = known_as(key);
        self.configuration.registry(key.split('/').next().unwrap_or(key))?;
        self.keyring.erase(key)
    }
}

/// Docker Hub's one name, of several.
fn known_as(key: &str) -> &str {
    match key {
        "index.docker.io" | "registry-1.docker.io" | "https://index.docker.io/v1/" => "docker.io",
        key => key.trim_end_matches('/'),
    }
}
