//! Which arguments are known where
//! ([scope](https://docs.docker.com/build/building/variables/#scoping)).

use std::collections::{BTreeMap, BTreeSet};

use sandbar_image::Platform;

use crate::config::ImageConfig;
use crate::dockerfile::{Dockerfile, expand};
use crate::error::{Error, Result};

/// Known without being declared, and in no image's history.
const PREDEFINED: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The arguments of the whole build.
#[derive(Debug)]
pub(crate) struct Globals {
    given: BTreeMap<String, String>,
    /// Of the file's beginning, and those that say for which machine is built.
    known: BTreeMap<String, String>,
    used: BTreeSet<String>,
}

impl Globals {
    /// Those of a file, with what is given in place of their defaults.
    pub(crate) fn of(
        file: &Dockerfile,
        given: &BTreeMap<String, String>,
        target: &Platform,
    ) -> Result<Self> {
        let mut known = BTreeMap::new();
        for (prefix, platform) in [("BUILD", &Platform::host()), ("TARGET", target)] {
            known.insert(format!("{prefix}PLATFORM"), platform.to_string());
            known.insert(format!("{prefix}OS"), platform.os().to_owned());
            known.insert(format!("{prefix}ARCH"), platform.architecture().to_owned());
            let variant = platform.variant().unwrap_or_default();
            known.insert(format!("{prefix}VARIANT"), variant.to_owned());
        }
        let mut globals = Self { given: given.clone(), known, used: BTreeSet::new() };
        for (line, arguments) in &file.globals {
            for (name, default) in arguments {
                let value = match (globals.given.get(name), default) {
                    (Some(given), _) => given.clone(),
                    (None, Some(default)) => {
                        let lookup = |name: &str| globals.known.get(name).cloned();
                        expand(default, file.escape, &lookup)
                            .map_err(|why| Error::syntax(*line, format!("ARG {name}: {why}")))?
                    }
                    (None, None) => continue,
                };
                globals.used.insert(name.clone());
                globals.known.insert(name.clone(), value);
            }
        }
        Ok(globals)
    }

    /// A word of a `FROM`.
    pub(crate) fn expand(&self, word: &str, line: usize, escape: char) -> Result<String> {
        let lookup = |name: &str| self.known.get(name).cloned();
        expand(word, escape, &lookup).map_err(|why| Error::syntax(line, format!("FROM: {why}")))
    }

    /// Arguments that were given and are nowhere declared.
    pub(crate) fn unused(&self) -> impl Iterator<Item = &str> {
        let unused = |name: &&String| {
            let name = name.as_str();
            let is_known = name == "SOURCE_DATE_EPOCH" || PREDEFINED.contains(&name);
            !is_known && !self.used.contains(name)
        };
        self.given.keys().filter(unused).map(String::as_str)
    }

    /// Those that are the environment's of each `RUN` though nobody declares them.
    pub(crate) fn proxies(&self) -> impl Iterator<Item = String> {
        let given = |name: &&str| Some(format!("{name}={}", self.given.get(*name)?));
        PREDEFINED.iter().filter_map(given)
    }
}

/// The arguments of a stage, up to where it was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope(BTreeMap<String, String>);

impl Scope {
    /// `ARG`, its default expanded already.
    pub(crate) fn declare(&mut self, globals: &mut Globals, name: &str, default: Option<String>) {
        globals.used.insert(name.to_owned());
        let given = globals.given.get(name).cloned();
        let value = given.or(default).or_else(|| globals.known.get(name).cloned());
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// The value of a variable: the environment's before an argument's.
    pub(crate) fn lookup(
        &self,
        globals: &Globals,
        config: &ImageConfig,
        name: &str,
    ) -> Option<String> {
        let predefined =
            || PREDEFINED.contains(&name).then(|| globals.given.get(name).cloned()).flatten();
        config.env(name).or_else(|| self.0.get(name).cloned()).or_else(predefined)
    }

    /// `NAME=value` of those that the environment does not hide.
    pub(crate) fn environment(&self, config: &ImageConfig) -> Vec<String> {
        let own = self.0.iter().filter(|(name, _)| config.env(name).is_none());
        own.map(|(name, value)| format!("{name}={value}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globals(text: &str, given: &[(&str, &str)]) -> (Dockerfile, Globals) {
        let file = Dockerfile::parse(text).unwrap();
        let given = given.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let globals = Globals::of(&file, &given, &"linux/arm/v7".parse().unwrap()).unwrap();
        (file, globals)
    }

    #[test]
    fn what_is_declared_before_the_first_stage_is_for_from_alone() {
        let (file, mut globals) = globals("ARG V=1\nARG T=x:$V\nFROM $T", &[("V", "2")]);
        assert_eq!(globals.expand("$T-$TARGETARCH", 3, file.escape).unwrap(), "x:2-arm");
        let config = ImageConfig::scratch(&Platform::host());
        let mut scope = Scope::default();
        assert_eq!(scope.lookup(&globals, &config, "V"), None);
        scope.declare(&mut globals, "V", None);
        scope.declare(&mut globals, "TARGETVARIANT", None);
        assert_eq!(scope.lookup(&globals, &config, "V").as_deref(), Some("2"));
        assert_eq!(scope.environment(&config), ["TARGETVARIANT=v7", "V=2"]);
    }

    #[test]
    fn the_environment_hides_an_argument_and_a_proxy_needs_no_declaration() {
        let given = [("A", "given"), ("HTTP_PROXY", "p"), ("TYPO", "x")];
        let (_file, mut globals) = globals("FROM x", &given);
        let mut config = ImageConfig::scratch(&Platform::host());
        config.set_env("A", "env");
        let mut scope = Scope::default();
        scope.declare(&mut globals, "A", Some("default".into()));
        scope.declare(&mut globals, "B", Some("default".into()));
        assert_eq!(scope.lookup(&globals, &config, "A").as_deref(), Some("env"));
        assert_eq!(scope.lookup(&globals, &config, "B").as_deref(), Some("default"));
        assert_eq!(scope.lookup(&globals, &config, "HTTP_PROXY").as_deref(), Some("p"));
        assert_eq!(scope.environment(&config), ["B=default"]);
        assert_eq!(globals.unused().collect::<Vec<_>>(), ["TYPO"]);
        assert_eq!(globals.proxies().collect::<Vec<_>>(), ["HTTP_PROXY=p"]);
    }
}
