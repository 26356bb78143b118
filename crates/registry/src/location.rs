//! Where an image is: a registry, a repository in it, and a tag or a digest.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result, shown};

/// A full name: `registry/repository`, and a tag or a digest or both; of both, the digest counts.
///
/// The grammar is that of
/// [distribution/reference](https://github.com/distribution/reference/blob/v0.6.0/reference.go), with SHA-256 as
/// the one digest. A name without tag and digest gets the tag `latest`. The short names of people are
/// [`Configuration::resolve`](crate::Configuration::resolve)'s.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// The longest `registry/repository`, in bytes.
const LONGEST_NAME: usize = 255;
/// The longest tag, in bytes.
const LONGEST_TAG: usize = 128;

impl Location {
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

    /// The same repository, by this digest alone: one of an index's manifests.
    #[must_use]
    pub fn at(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// What is written behind `manifests/`.
    pub(crate) fn version(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_else(|| "latest".to_owned()),
        }
    }
}

/// A name cut at its separators and checked; the registry may be absent.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) registry: Option<&'a str>,
    pub(crate) repository: &'a str,
    tag: Option<&'a str>,
    digest: Option<Digest>,
}

impl<'a> Parts<'a> {
    pub(crate) fn split(text: &'a str) -> Result<Self> {
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
        parts.check().map(|()| parts).map_err(|why| {
            let name = shown(text);
            Error::new(
                ErrorKind::InvalidReference,
                format!("\"{name}\" is not an image's name: {why}"),
            )
        })
    }

    fn check(&self) -> std::result::Result<(), &'static str> {
        if self.registry.is_some_and(|registry| !valid_registry(registry)) {
            return Err("its registry is not a host name with an optional port");
        }
        if self.repository.bytes().any(|c| c.is_ascii_uppercase()) {
            return Err("a repository is written in lower case");
        }
        if !self.repository.split('/').all(valid_component) {
            return Err(
                "a repository is letters and digits, separated by single '.', '_' or '/', \
                        by '__' or '-'",
            );
        }
        if self.tag.is_some_and(|tag| !valid_tag(tag)) {
            return Err(
                "a tag is up to 128 letters, digits, '_', '.' or '-', and begins with none \
                        of the last two",
            );
        }
        if self.registry.map_or(0, |registry| registry.len() + 1) + self.repository.len()
            > LONGEST_NAME
        {
            return Err("it is longer than 255 bytes");
        }
        Ok(())
    }

    /// With `registry` as its registry.
    pub(crate) fn on(&self, registry: &str) -> Location {
        // index.docker.io is what Docker Hub once was called; both name one registry.
        let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
        let repository = match (registry, self.repository.contains('/')) {
            ("docker.io", false) => format!("library/{}", self.repository),
            _ => self.repository.to_owned(),
        };
        let tag = match (self.tag, self.digest) {
            (None, None) => Some("latest".to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Location { registry: registry.to_owned(), repository, tag, digest: self.digest }
    }

    /// Whether there is neither tag nor digest.
    pub(crate) fn is_plain(&self) -> bool {
        self.tag.is_none() && self.digest.is_none()
    }

    /// As [`Parts::on`], in another repository: what an alias stands for.
    pub(crate) fn renamed(&self, registry: &str, repository: &str) -> Location {
        Parts { registry: None, repository, ..*self }.on(registry)
    }
}

/// Whether the first component is a registry, by distribution's rule: a dot, a port, or `localhost`.
fn is_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':'])
}

/// Whether `registry` is a host name or address with an optional port.
pub(crate) fn valid_registry(registry: &str) -> bool {
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
pub(crate) fn valid_component(component: &str) -> bool {
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

impl FromStr for Location {
    type Err = Error;

    /// Parses a full name; one without a registry is refused.
    fn from_str(text: &str) -> Result<Self> {
        let parts = Parts::split(text)?;
        let registry = parts.registry.ok_or_else(|| {
            let name = shown(text);
            Error::new(ErrorKind::InvalidReference, format!("\"{name}\" names no registry"))
        })?;
        Ok(parts.on(registry))
    }
}

impl TryFrom<&str> for Location {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        text.parse()
    }
}

impl fmt::Display for Location {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_are_read_and_written_in_full() {
        let pinned = format!("h.io/a@{}", Digest::of(b"x"));
        for (name, full) in [
            ("localhost/nginx", "localhost/nginx:latest"),
            ("docker.io/nginx", "docker.io/library/nginx:latest"),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest"),
            ("[::1]:5000/a", "[::1]:5000/a:latest"),
            ("h:5000/a__b/c---d:V_1.-", "h:5000/a__b/c---d:V_1.-"),
            (&pinned, &pinned),
        ] {
            assert_eq!(name.parse::<Location>().unwrap().to_string(), full);
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_refused() {
        let long = format!("h.io/{}", "a".repeat(256));
        let tag = format!("h.io/a:{}", "t".repeat(129));
        for name in [
            "",
            "/",
            "nginx",
            "me/app",
            "h.io/",
            "h.io//a",
            "h.io/../a",
            "h.io/a/..",
            "h.io/.a",
            "h.io/a..b",
            "h.io/a___b",
            "h.io/-a",
            "h.io/Nginx",
            "h.io/a:",
            "h.io/a:.b",
            "h.io/a:b:c",
            "h.io/a b",
            "h.io/a\0",
            "h.io/a?b",
            "h.io/é",
            "h.io/a@",
            "h.io/a@sha256:abc",
            "-h.io/a",
            "h:99999/a",
            "h:x/a",
            "[::g]:1/a",
            "u@h.io/a",
            &long,
            &tag,
        ] {
            let error = name.parse::<Location>().expect_err(name);
            assert_eq!(error.kind(), ErrorKind::InvalidReference, "{name:?}");
        }
    }
}
