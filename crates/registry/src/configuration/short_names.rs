//! Short names: what people mean by `nginx`.

use serde::Deserialize;

use super::{Configuration, unusable};
use crate::error::{Result, shown};
use crate::location::{Location, Parts, valid_registry};

/// What is done about a short name that several registries may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// It is refused: of several registries anybody may own the name in one.
    Enforcing,
    /// The registries are asked in turn.
    #[default]
    Permissive,
    /// As `permissive`, which asks people first in other programs.
    Disabled,
}

impl Configuration {
    /// What `name` may mean, likeliest first: itself, if it names a registry; else what it is an alias of; else its
    /// namesake in each registry that is searched.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidReference`](crate::ErrorKind::InvalidReference) if it is no name;
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if no registry is searched, or several in the
    /// mode `enforcing`.
    pub fn resolve(&self, name: &str) -> Result<Vec<Location>> {
        let parts = Parts::split(name)?;
        if let Some(registry) = parts.registry {
            return Ok(vec![parts.on(registry)]);
        }
        if let Some(alias) = self.aliases.get(parts.repository).filter(|alias| !alias.is_empty()) {
            let full = Parts::split(alias)?;
            let registry = full.registry.unwrap_or("docker.io");
            return Ok(vec![parts.renamed(registry, full.repository)]);
        }
        let search = self.search_registries();
        let name = shown(name);
        if search.is_empty() {
            return Err(unusable(format!(
                "\"{name}\" names no registry, and none is searched: write it in full, or set \
                 unqualified-search-registries"
            )));
        }
        if self.mode == Mode::Enforcing && search.len() > 1 {
            return Err(unusable(format!(
                "\"{name}\" may be in {}: write the registry too, or make an alias \
                 (short-name-mode is \"enforcing\")",
                search.join(" or ")
            )));
        }
        Ok(search.iter().map(|registry| parts.on(registry)).collect())
    }
}

/// Whether search list and aliases hold what they should.
pub(super) fn check(configuration: &Configuration) -> Result<()> {
    for registry in configuration.search.iter().flatten() {
        if !valid_registry(registry) {
            let shown = shown(registry);
            return Err(unusable(format!(
                "unqualified-search-registries: \"{shown}\" is not a host name with an optional port"
            )));
        }
    }
    for (name, alias) in configuration.aliases.iter().filter(|(_, alias)| !alias.is_empty()) {
        let plain = |text: &str| Parts::split(text).is_ok_and(|parts| parts.is_plain());
        let full = Parts::split(alias).is_ok_and(|parts| parts.registry.is_some());
        if !plain(name) || !plain(alias) || !full {
            let (name, alias) = (shown(name), shown(alias));
            return Err(unusable(format!(
                "aliases: \"{name}\" = \"{alias}\" should be a short name and a full one, without tags"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn resolved(configuration: &str, name: &str) -> Vec<String> {
        let configuration = Configuration::parse(configuration).unwrap();
        configuration.resolve(name).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_short_name_is_an_alias_or_searched_for() {
        let text = "
            unqualified-search-registries = [\"a.io\", \"docker.io\"]
            [aliases]
            fedora = \"registry.fedoraproject.org/fedora\"
            \"me/app\" = \"b.io:5000/x/app\"
            gone = \"\"
        ";
        for (name, expected) in [
            ("r.io/a:1", &["r.io/a:1"][..]),
            ("nginx", &["a.io/nginx:latest", "docker.io/library/nginx:latest"]),
            ("you/app:2", &["a.io/you/app:2", "docker.io/you/app:2"]),
            ("fedora:40", &["registry.fedoraproject.org/fedora:40"]),
            ("me/app", &["b.io:5000/x/app:latest"]),
            ("gone", &["a.io/gone:latest", "docker.io/library/gone:latest"]),
        ] {
            assert_eq!(resolved(text, name), expected, "{name}");
        }
        let digest = format!("nginx@{}", crate::Digest::of(b""));
        assert_eq!(resolved("", &digest), [format!("docker.io/library/{digest}")]);
    }

    #[test]
    fn a_name_that_nobody_or_too_many_may_have_is_refused() {
        for text in [
            "unqualified-search-registries = []",
            "short-name-mode = \"enforcing\"\nunqualified-search-registries = [\"a.io\", \"b.io\"]",
        ] {
            let error = Configuration::parse(text).unwrap().resolve("nginx").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration);
        }
    }
}
