//! What the machine's configuration says of registries: short names, mirrors, and which are insecure or blocked.

mod file;
mod rules;
mod short_names;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use rules::Source;

use crate::error::{Error, ErrorKind, Result};
use crate::patience::Patience;
use file::{File, Waiting};
use rules::Rule;
use short_names::Mode;

/// Sandbar's own file. Where it is, containers' are not read.
const OWN: &str = "/etc/sandbar/registries.toml";
/// The file of Podman, Buildah, Skopeo and CRI-O, and the directory of what is added to it.
const CONTAINERS: &str = "/etc/containers/registries.conf";
const CONTAINERS_MORE: &str = "/etc/containers/registries.conf.d";

/// What is known of registries: containers-registries.conf(5), version 2.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    search: Option<Vec<String>>,
    mode: Mode,
    aliases: BTreeMap<String, String>,
    rules: Vec<Rule>,
    patience: Patience,
}

impl Configuration {
    /// Reads this machine's: `/etc/sandbar/registries.toml`; else `/etc/containers/registries.conf` and, over it, in
    /// the order of their names, `/etc/containers/registries.conf.d/*.conf`. None of them needs to be there.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`], naming the file and what is wrong with it.
    pub fn load() -> Result<Self> {
        let own = Path::new(OWN);
        if own.exists() {
            return Self::default().and_file(own, true);
        }
        Self::load_containers(Path::new(CONTAINERS), Path::new(CONTAINERS_MORE))
    }

    /// Reads a file of containers' and what a directory adds to it.
    ///
    /// # Errors
    /// As [`Configuration::load`].
    pub fn load_containers(file: &Path, directory: &Path) -> Result<Self> {
        let mut configuration = Self::default();
        if file.exists() {
            configuration = configuration.and_file(file, false)?;
        }
        for path in added(directory)? {
            configuration = configuration.and_file(&path, false)?;
        }
        Ok(configuration)
    }

    /// Reads a configuration in Sandbar's own format: containers', but what is not known is refused.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`], saying what is wrong with it.
    pub fn parse(text: &str) -> Result<Self> {
        Self::default().and_text(text, true)
    }

    fn and_file(self, path: &Path, strict: bool) -> Result<Self> {
        let text = fs::read_to_string(path)
            .map_err(|e| unusable(format!("{} can't be read", path.display())).because(e))?;
        self.and_text(&text, strict).map_err(|e| e.within(path.display()))
    }

    /// What `text` says counts before what was said.
    fn and_text(mut self, text: &str, strict: bool) -> Result<Self> {
        let file = File::parse(text, strict)?;
        if let Some(search) = file.search {
            self.search = Some(search);
        }
        if let Some(mode) = file.short_name_mode {
            self.mode = mode;
        }
        if let Some(waiting) = file.patience.filter(|_| strict) {
            self.patience = self.patience.with(waiting);
        }
        self.aliases.extend(file.aliases);
        for rule in file.rules {
            let rule = Rule::new(rule)?;
            self.rules.retain(|other| !other.is_for_same(&rule));
            self.rules.push(rule);
        }
        short_names::check(&self)?;
        Ok(self)
    }

    /// How long registries are waited for, and how often they are asked again: the default, unless `[patience]` says
    /// otherwise.
    #[must_use]
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// The registries in which names without one are looked for, in order: Docker Hub, if nothing else is configured.
    #[must_use]
    pub fn search_registries(&self) -> Vec<String> {
        self.search.clone().unwrap_or_else(|| vec!["docker.io".to_owned()])
    }
}

impl Patience {
    fn with(mut self, waiting: Waiting) -> Self {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        if let Some(connect) = waiting.connect_seconds {
            self.connect = seconds(connect.get());
        }
        if let Some(stall) = waiting.stall_seconds {
            self.stall = seconds(stall.get());
        }
        if let Some(attempts) = waiting.attempts {
            self.attempts = attempts.get();
        }
        if let Some(longest) = waiting.longest_pause_seconds {
            self.longest_pause = seconds(longest);
        }
        self
    }
}

/// `*.conf` in `directory`, in order; none if it is not there.
fn added(directory: &Path) -> Result<Vec<PathBuf>> {
    let bad = |e| unusable(format!("{} can't be read", directory.display())).because(e);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(bad(e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(bad)?.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn unusable(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_files_count_before_earlier_ones() {
        let directory = tempfile::tempdir().unwrap();
        let main = directory.path().join("registries.conf");
        let more = directory.path().join("registries.conf.d");
        let load = || Configuration::load_containers(&main, &more);
        assert_eq!(load().unwrap().search_registries(), ["docker.io"]);
        fs::write(&main, "unqualified-search-registries = [\"a.io\"]\ncredential-helpers = []\n")
            .unwrap();
        fs::create_dir(&more).unwrap();
        fs::write(more.join("2.conf"), "unqualified-search-registries = [\"c.io\"]\n").unwrap();
        fs::write(more.join("1.conf"), "unqualified-search-registries = [\"b.io\"]\n").unwrap();
        fs::write(more.join("3.toml"), "this is not read").unwrap();
        assert_eq!(load().unwrap().search_registries(), ["c.io"]);
        fs::write(more.join("4.conf"), "[[registry]\n").unwrap();
        let error = load().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("4.conf"), "{error}");
    }

    #[test]
    fn patience_is_a_matter_of_the_own_format() {
        let text = "[patience]\nstall-seconds = 2\nattempts = 9\nlongest-pause-seconds = 0\n";
        let patience = Configuration::parse(text).unwrap().patience();
        let zero = Duration::ZERO;
        let expected = Patience { attempts: 9, longest_pause: zero, ..Patience::default() };
        assert_eq!(patience, Patience { stall: Duration::from_secs(2), ..expected });
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let nothing = Path::new("/nothing");
        let theirs = Configuration::load_containers(file.path(), nothing).unwrap();
        assert_eq!(theirs.patience(), Patience::default());
    }

    #[test]
    fn what_is_not_known_is_refused_in_the_own_format() {
        for text in [
            "unqualified_search_registries = []",
            "[[registry]]\nprefix = \"a.io\"\ninsecur = true",
            "[[registry]]\nprefix = \"a.io\"\n[[registry.mirror]]\nlocation = \"b.io\"\nx = 1",
            "[[registry]]\ninsecure = true",
            "[[registry]]\nprefix = \"*.io/a b\"",
            "[[registry]]\nprefix = \"*.a.io\"\nlocation = \"http://b.io\"",
            "[patience]\nstall = 1",
            "[patience]\nstall-seconds = 0",
            "[registries.search]\nregistries = [\"a.io\"]",
            "unqualified-search-registries = [\"a.io/b\"]",
            "short-name-mode = \"sometimes\"",
            "[aliases]\nx = \"nginx\"",
            "[aliases]\nx = \"a.io/nginx:1\"",
        ] {
            let error = Configuration::parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Configuration, "{text}");
        }
    }
}
