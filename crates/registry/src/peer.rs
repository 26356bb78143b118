//! A registry as the other end of a conversation: where it is, whether it is to be trusted blindly, and who asks.

use crate::configuration::Source;
use crate::credentials::Credentials;
use crate::url::{Origin, is_loopback};

/// What must be true of who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// TLS, with a certificate that fits.
    Verified,
    /// It is this machine, so nobody listens; anywhere else a certificate that fits.
    OwnMachine,
    /// Nothing: it is configured to be insecure.
    Blind,
}

impl Trust {
    /// As it is asked for, else as it is configured; a registry on this machine itself needs no TLS, as with Docker.
    pub(crate) fn new(tls_verify: Option<bool>, insecure: Option<bool>, authority: &str) -> Self {
        match tls_verify.or(insecure.map(|insecure| !insecure)) {
            Some(true) => Self::Verified,
            Some(false) => Self::Blind,
            None if is_loopback(authority) => Self::OwnMachine,
            None => Self::Verified,
        }
    }

    /// Whether certificates at `origin` are to be verified.
    pub(crate) fn verifies(self, origin: &Origin) -> bool {
        match self {
            Self::Verified => true,
            Self::OwnMachine => !origin.is_loopback(),
            Self::Blind => false,
        }
    }

    /// Whether what is said to `origin` may be said without TLS, if `origin` has none.
    pub(crate) fn allows(self, origin: &Origin) -> bool {
        origin.secure || !self.verifies(origin)
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) enum Who {
    /// Whoever the keyring has for the repository.
    Keyring,
    /// These, which were given for this registry.
    Given(Credentials),
    /// Nobody in particular.
    Anonymous,
}

/// A repository at one registry, or, with an empty repository, the registry as such.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) source: Source,
    pub(crate) origin: Origin,
    pub(crate) trust: Trust,
    pub(crate) who: Who,
    /// How often it is asked.
    pub(crate) attempts: u32,
}

impl Peer {
    /// What a token for `actions` in the repository is asked for with.
    pub(crate) fn scope(&self, actions: &str) -> String {
        format!("repository:{}:{actions}", self.source.repository)
    }
}

/// What hosts a registry: Docker Hub's name is not its address.
pub(crate) fn authority_of(registry: &str) -> &str {
    match registry {
        "docker.io" | "index.docker.io" => "registry-1.docker.io",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_and_for_what_is_insecure() {
        let remote = Origin::new(false, "r.io");
        let local = Origin::new(false, "localhost:5000");
        for (tls_verify, insecure, authority, to_local, to_remote) in [
            (None, None, "r.io", false, false),
            (None, Some(true), "r.io", true, true),
            (Some(true), Some(true), "r.io", false, false),
            (Some(false), None, "r.io", true, true),
            (None, None, "localhost:5000", true, false),
            (None, Some(false), "localhost:5000", false, false),
        ] {
            let trust = Trust::new(tls_verify, insecure, authority);
            let allowed = (trust.allows(&local), trust.allows(&remote));
            assert_eq!(allowed, (to_local, to_remote), "{tls_verify:?} {insecure:?} {authority}");
            assert!(trust.allows(&Origin::new(true, "r.io")));
        }
    }
}
