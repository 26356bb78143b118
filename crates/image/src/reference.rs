//! References: the names of images, parsed strictly and always kept in full.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result, shown};

/// Where a name without a registry belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// `nginx` is `localhost/nginx`: what is built, imported or tagged here.
    Localhost,
    /// `nginx` is `docker.io/library/nginx`, and `me/app` is `docker.io/me/app`: what Docker's archives mean.
    DockerHub,
}

/// A full name: `registry/repository`, and a tag or a digest or both.
///
/// The grammar is that of
/// [distribution/reference](https://github.com/distribution/reference/blob/v0.6.0/reference.go), with SHA-256 as
/// the one digest. A name without tag and digest gets the tag `latest`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// The longest `registry/repository`, in bytes.
const LONGEST_NAME: usize = 255;
/// The longest tag, in bytes.
const LONGEST_TAG: usize = 128;

impl Reference {
    /// Parses `name`; `home` is where it belongs when it names no registry.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`], saying what is wrong with it.
    pub fn parse(name: &str, home: Home) -> Result<Self> {
        let parts = Parts::split(name)?;
        match (parts.registry, home) {
            (Some(registry), _) => parts.complete(name, registry, None),
            (None, Home::Localhost) => parts.complete(name, "localhost", None),
            (None, Home::DockerHub) if parts.repository.contains('/') => {
                parts.complete(name, "docker.io", None)
            }
            (None, Home::DockerHub) => parts.complete(name, "docker.io", Some("library")),
        }
    }

    /// What `name` may mean, likeliest first: itself when it names a registry, else at each [`Home`].
    ///
    /// # Errors
    /// As [`Reference::parse`].
    pub fn candidates(name: &str) -> Result<Vec<Self>> {
        let first = Self::parse(name, Home::Localhost)?;
        let second = Self::parse(name, Home::DockerHub)?;
        Ok(if first == second { vec![first] } else { vec![first, second] })
    }

    /// The registry's host, with its port if it has one: `docker.io`, `localhost:5000`.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry: `library/nginx`.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if any.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest, if the name pins one.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Fails unless the digest in it, if there is one, is one of those that the image is known to have.
    ///
    /// Whoever runs an image by its digest wants just that one, whatever somebody else calls his.
    pub(crate) fn require_digest_of(&self, known: &[Digest]) -> Result<()> {
        match self.digest {
            Some(digest) if !known.contains(&digest) => Err(invalid(
                &self.to_string(),
                "no image can be given a digest that is not its own",
            )),
            _ => Ok(()),
        }
    }
}

/// A name cut at its separators, each part in order.
struct Parts<'a> {
    registry: Option<&'a str>,
    repository: &'a str,
    tag: Option<&'a str>,
    digest: Option<Digest>,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Result<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[last..].find(':') {
            Some(colon) => (&rest[..last + colon], Some(&rest[last + colon + 1..])),
            None => (rest, None),
        };
        let (registry, repository) = match name.split_once('/') {
            Some((first, others)) if is_registry(first) => (Some(first), others),
            _ => (None, name),
        };
        let parts = Self { registry, repository, tag, digest };
        parts.check(text).map(|()| parts)
    }

    fn check(&self, text: &str) -> Result<()> {
        if let Some(registry) = self.registry
            && !valid_registry(registry)
        {
            return Err(invalid(text, "its registry is not a host name with an optional port"));
        }
        if self.repository.bytes().any(|c| c.is_ascii_uppercase()) {
            return Err(invalid(text, "a repository is written in lower case"));
        }
        if !self.repository.split('/').all(valid_component) {
            return Err(invalid(
                text,
                "a repository is letters and digits, separated by single '.', '_' or '/', by '__' or '-'",
            ));
        }
        if self.registry.is_none() && Digest::from_hex(self.repository).is_some() {
            return Err(invalid(text, "64 hexadecimal digits are an image id, not a name"));
        }
        if self.tag.is_some_and(|tag| !valid_tag(tag)) {
            return Err(invalid(
                text,
                "a tag is up to 128 letters, digits, '_', '.' or '-', and begins with none of the last two",
            ));
        }
        Ok(())
    }

    fn complete(&self, text: &str, registry: &str, prefix: Option<&str>) -> Result<Reference> {
        let repository = match prefix {
            Some(prefix) => format!("{prefix}/{}", self.repository),
            None => self.repository.to_owned(),
        };
        if registry.len() + 1 + repository.len() > LONGEST_NAME {
            return Err(invalid(text, "it is longer than 255 bytes"));
        }
        // index.docker.io is what Docker Hub once was called; both name one registry.
        let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
        let repository = match (registry, repository.contains('/')) {
            ("docker.io", false) => format!("library/{repository}"),
            _ => repository,
        };
        let tag = match (self.tag, self.digest) {
            (None, None) => Some("latest".to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Reference { registry: registry.to_owned(), repository, tag, digest: self.digest })
    }
}

fn invalid(text: &str, why: &str) -> Error {
    let name = shown(text.as_bytes());
    Error::new(ErrorKind::InvalidReference, format!("{name} is not an image's name: {why}"))
}

/// Whether the first component is a registry, by distribution's rule: a dot, a port, or `localhost`.
fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

fn valid_registry(registry: &str) -> bool {
    let (host, port) = match registry.rfind(':') {
        Some(colon) if !registry.ends_with(']') => {
            (&registry[..colon], Some(&registry[colon + 1..]))
        }
        _ => (registry, None),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
    };
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(label),
    };
    host && port
        .is_none_or(|port| port.bytes().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn valid_component(component: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    component.starts_with(is_word)
        && component.ends_with(is_word)
        && component.split(is_word).all(|between| {
            matches!(between, "" | "." | "_" | "__") || between.bytes().all(|c| c == b'-')
        })
}

/// `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
fn valid_tag(tag: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= LONGEST_TAG
        && tag.starts_with(is_word)
        && tag.chars().all(|c| is_word(c) || matches!(c, '.' | '-'))
}

impl FromStr for Reference {
    type Err = Error;

    /// Parses a full name; one without a registry belongs to `localhost`.
    fn from_str(name: &str) -> Result<Self> {
        Self::parse(name, Home::Localhost)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_completed_where_they_belong() {
        let full = |name, home| Reference::parse(name, home).unwrap().to_string();
        for (name, localhost, hub) in [
            ("nginx", "localhost/nginx:latest", "docker.io/library/nginx:latest"),
            ("me/app:1", "localhost/me/app:1", "docker.io/me/app:1"),
            ("localhost/nginx", "localhost/nginx:latest", "localhost/nginx:latest"),
            ("docker.io/nginx", "docker.io/library/nginx:latest", "docker.io/library/nginx:latest"),
            ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
            ("h:5000/a__b/c---d:V_1.-", "h:5000/a__b/c---d:V_1.-", "h:5000/a__b/c---d:V_1.-"),
        ] {
            assert_eq!(full(name, Home::Localhost), localhost);
            assert_eq!(full(name, Home::DockerHub), hub);
        }
        let digest = Digest::of(b"x");
        let pinned: Reference = format!("localhost/a@{digest}").parse().unwrap();
        assert_eq!((pinned.tag(), pinned.digest()), (None, Some(digest)));
        assert_eq!(pinned.to_string().parse::<Reference>().unwrap(), pinned);
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        let long = "a".repeat(256);
        let tag = format!("a:{}", "t".repeat(129));
        let id = "a".repeat(64);
        for name in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "..",
            "../a",
            "a/../b",
            "a/..",
            ".a",
            "a.",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "Nginx",
            "docker.io/Nginx",
            "a:",
            "a:.b",
            "a:-b",
            "a:b:c",
            "a:b/c d",
            "a b",
            "a\0",
            "a\n",
            "é",
            "a@",
            "a@sha256:abc",
            "a@sha512:00",
            "-h.io/a",
            "h:99999/a",
            "h:x/a",
            "h:/a",
            "[::g]:1/a",
            &long,
            &tag,
            &id,
        ] {
            let error = Reference::parse(name, Home::Localhost).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::InvalidReference, "{name:?}");
        }
    }
}
