//! Rules for registries: where what they have really is, and how to speak to whom.

use super::file::{Mirror, Pulls, Registry};
use super::{Configuration, unusable};
use crate::error::{Error, ErrorKind, Result, shown};
use crate::location::{Location, valid_component, valid_registry};

/// One `[[registry]]`.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    prefix: Prefix,
    location: Option<String>,
    insecure: Option<bool>,
    blocked: bool,
    mirrors: Vec<Other>,
}

/// One `[[registry.mirror]]`.
#[derive(Clone, Debug)]
struct Other {
    location: String,
    insecure: Option<bool>,
    pulls: Pulls,
}

/// Where to ask for a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) registry: String,
    pub(crate) repository: String,
    /// Whether to trust whoever answers, with TLS or without; as it is configured, if it is.
    pub(crate) insecure: Option<bool>,
    pub(crate) is_mirror: bool,
}

/// What a rule is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Prefix {
    /// A registry, a namespace in it, or a repository.
    Path(String),
    /// All hosts below a domain: `*.example.com`, here without the star.
    Below(String),
}

impl Prefix {
    fn parse(text: &str) -> Result<Self> {
        if let Some(domain) = text.strip_prefix('*') {
            if domain.starts_with('.') && valid_registry(&domain[1..]) {
                return Ok(Self::Below(domain.to_owned()));
            }
            return Err(unusable(format!("prefix \"{}\" is not *.DOMAIN", shown(text))));
        }
        check_place("prefix", text)?;
        Ok(Self::Path(text.to_owned()))
    }

    /// How much of `name` this fits: more is more particular.
    fn fits(&self, registry: &str, name: &str) -> Option<usize> {
        match self {
            Self::Path(path) => {
                let rest = name.strip_prefix(path.as_str())?;
                (rest.is_empty() || rest.starts_with('/')).then_some(path.len())
            }
            Self::Below(domain) => {
                // Any whole name is more particular than a pattern of names.
                let host = registry.split(':').next().unwrap_or(registry);
                host.ends_with(domain.as_str()).then_some(0)
            }
        }
    }
}

impl Rule {
    pub(super) fn new(registry: Registry) -> Result<Self> {
        let Some(prefix) = registry.prefix.as_ref().or(registry.location.as_ref()) else {
            return Err(unusable("a [[registry]] has neither prefix nor location"));
        };
        let prefix = Prefix::parse(prefix)?;
        if let Some(location) = &registry.location {
            check_place("location", location)?;
        }
        let by_digest = registry.mirror_by_digest_only;
        let mirror = |mirror: &Mirror| {
            check_place("location of a mirror", &mirror.location)?;
            Ok(Other {
                location: mirror.location.clone(),
                insecure: mirror.insecure,
                pulls: if by_digest { Pulls::DigestOnly } else { mirror.pulls },
            })
        };
        Ok(Self {
            prefix,
            mirrors: registry.mirrors.iter().map(mirror).collect::<Result<_>>()?,
            location: registry.location,
            insecure: registry.insecure,
            blocked: registry.blocked,
        })
    }

    pub(super) fn is_for_same(&self, other: &Self) -> bool {
        self.prefix == other.prefix
    }

    /// `name` with its prefix replaced.
    fn moved(&self, to: &str, name: &str) -> Option<(String, String)> {
        let moved = match &self.prefix {
            Prefix::Path(path) => format!("{to}{}", name.strip_prefix(path.as_str())?),
            // A pattern's location stands for the host.
            Prefix::Below(_) => format!("{to}/{}", name.split_once('/')?.1),
        };
        let (registry, repository) = moved.split_once('/')?;
        Some((registry.to_owned(), repository.to_owned()))
    }
}

/// `host[:port][/path]`.
fn check_place(what: &str, text: &str) -> Result<()> {
    let mut parts = text.split('/');
    let host = parts.next().unwrap_or_default();
    if valid_registry(host) && parts.all(valid_component) {
        return Ok(());
    }
    Err(unusable(format!("{what} \"{}\" is not HOST[:PORT][/PATH]", shown(text))))
}

impl Configuration {
    /// Where to pull from, in order: the mirrors, then the registry itself.
    pub(crate) fn sources(&self, location: &Location) -> Result<Vec<Source>> {
        let pinned = location.digest().is_some();
        let name = format!("{}/{}", location.registry(), location.repository());
        let rule = self.rule(location.registry(), &name);
        let mut sources = Vec::new();
        for mirror in rule.iter().flat_map(|rule| &rule.mirrors) {
            let asked = match mirror.pulls {
                Pulls::All => true,
                Pulls::DigestOnly => pinned,
                Pulls::TagOnly => !pinned,
            };
            let moved = rule.and_then(|rule| rule.moved(&mirror.location, &name));
            if let Some((registry, repository)) = moved.filter(|_| asked) {
                let insecure = mirror.insecure;
                sources.push(Source { registry, repository, insecure, is_mirror: true });
            }
        }
        sources.push(self.home(location)?);
        Ok(sources)
    }

    /// The registry itself, to which is pushed: no mirror.
    pub(crate) fn home(&self, location: &Location) -> Result<Source> {
        let name = format!("{}/{}", location.registry(), location.repository());
        let own = (location.registry().to_owned(), location.repository().to_owned());
        let rule = self.rule(location.registry(), &name);
        if rule.is_some_and(|rule| rule.blocked) {
            return Err(blocked(&location.to_string()));
        }
        let moved = rule.and_then(|rule| rule.moved(rule.location.as_ref()?, &name));
        let (registry, repository) = moved.unwrap_or(own);
        let insecure = rule.and_then(|rule| rule.insecure);
        Ok(Source { registry, repository, insecure, is_mirror: false })
    }

    /// A registry as such: for logins and searches.
    pub(crate) fn registry(&self, registry: &str) -> Result<Source> {
        if !valid_registry(registry) {
            let shown = shown(registry);
            let message =
                format!("\"{shown}\" is not a registry: a host name with an optional port");
            return Err(Error::new(ErrorKind::InvalidReference, message));
        }
        let rule = self.rule(registry, registry);
        if rule.is_some_and(|rule| rule.blocked) {
            return Err(blocked(registry));
        }
        let insecure = rule.and_then(|rule| rule.insecure);
        let (registry, repository) = (registry.to_owned(), String::new());
        Ok(Source { registry, repository, insecure, is_mirror: false })
    }

    fn rule(&self, registry: &str, name: &str) -> Option<&Rule> {
        let fit = |rule: &&Rule| rule.prefix.fits(registry, name);
        self.rules.iter().filter(|rule| fit(rule).is_some()).max_by_key(|rule| fit(rule))
    }
}

fn blocked(name: &str) -> Error {
    Error::new(ErrorKind::Blocked, format!("{name} is blocked by this machine's configuration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        [[registry]]
        prefix = "a.io"
        location = "real.io/a"
        [[registry.mirror]]
        location = "m1.io:5000/cache"
        insecure = true
        [[registry.mirror]]
        location = "m2.io"
        pull-from-mirror = "digest-only"
        [[registry]]
        prefix = "a.io/evil"
        blocked = true
        [[registry]]
        location = "plain.io:5000"
        insecure = true
        [[registry]]
        prefix = "*.in.io"
        location = "all.io"
    "#;

    fn sources(name: &str) -> Vec<String> {
        let configuration = Configuration::parse(TEXT).unwrap();
        let sources = configuration.sources(&name.parse().unwrap()).unwrap();
        let show = |s: &Source| {
            let mark = if s.insecure == Some(true) { " insecure" } else { "" };
            format!("{}/{}{mark}", s.registry, s.repository)
        };
        sources.iter().map(show).collect()
    }

    #[test]
    fn the_longest_prefix_tells_where_to_ask() {
        let pinned = format!("a.io/x@{}", crate::Digest::of(b""));
        for (name, expected) in [
            ("a.io/x/y", &["m1.io:5000/cache/x/y insecure", "real.io/a/x/y"][..]),
            (&pinned, &["m1.io:5000/cache/x insecure", "m2.io/x", "real.io/a/x"]),
            ("plain.io:5000/x", &["plain.io:5000/x insecure"]),
            ("plain.io/x", &["plain.io/x"]),
            ("b.in.io/x", &["all.io/x"]),
            ("in.io/x", &["in.io/x"]),
            ("ba.io/x", &["ba.io/x"]),
            ("a.io/evils", &["m1.io:5000/cache/evils insecure", "real.io/a/evils"]),
        ] {
            assert_eq!(sources(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_blocked_is_refused() {
        let configuration = Configuration::parse(TEXT).unwrap();
        for name in ["a.io/evil", "a.io/evil/x"] {
            let error = configuration.sources(&name.parse().unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Blocked);
        }
    }
}
