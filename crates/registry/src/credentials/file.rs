//! One file of credentials, Docker's `config.json` or Podman's `auth.json` (containers-auth.json(5)).

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Map, Value};

use super::helper::Helper;
use super::{Credentials, unusable};
use crate::error::{Error, Result};

/// The longest file, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// What Docker calls its hub, in its file and to its helpers.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A file that was read; whatever else it holds is kept.
pub(super) struct AuthFile {
    path: PathBuf,
    content: Map<String, Value>,
}

impl AuthFile {
    /// Reads the file; one that is missing is empty.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bad = |why: &str| unusable(format!("{} {why}", path.display()));
        let mut text = String::new();
        match fs::File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
        {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(bad("can't be read").because(e)),
            Ok(_) if text.len() as u64 > LONGEST => return Err(bad("is larger than 1 MiB")),
            Ok(_) => {}
        }
        let content = match text.trim() {
            "" => Map::new(),
            text => serde_json::from_str(text)
                .map_err(|e| bad("is not a file of credentials in JSON").because(e))?,
        };
        Ok(Self { path: path.to_owned(), content })
    }

    /// The credentials for `registry/repository`: the most particular there are.
    pub(super) fn find(&self, registry: &str, repository: &str) -> Result<Option<Credentials>> {
        if let Some(helper) = self.own_helper(registry)? {
            return helper.get(&self.name_of(registry));
        }
        for key in keys(registry, repository) {
            if let Some(found) = self.entry(&key) {
                return self.decode(&key, found);
            }
        }
        match self.general_helper()? {
            Some(helper) => helper.get(&self.name_of(registry)),
            None => Ok(None),
        }
    }

    /// Keeps the credentials in the file, or with the helper that it names.
    pub(super) fn store(&mut self, key: &str, credentials: &Credentials) -> Result<()> {
        let registry = key.split('/').next().unwrap_or(key);
        if let Some(helper) = self.helper(registry)? {
            return helper.store(&self.name_of(key), credentials);
        }
        let mut entry = Map::new();
        entry.insert("auth".to_owned(), credentials.encoded().into());
        if let Credentials::IdentityToken(token) = credentials {
            entry.insert("identitytoken".to_owned(), token.as_str().into());
        }
        self.remove(key);
        let name = self.name_of(key);
        match self.content.entry("auths").or_insert_with(|| Map::new().into()) {
            Value::Object(auths) => auths.insert(name, entry.into()),
            _ => return Err(unusable(format!("{}: auths is no object", self.path.display()))),
        };
        self.write()
    }

    /// Forgets the credentials. Whether there were any.
    pub(super) fn erase(&mut self, key: &str) -> Result<bool> {
        let registry = key.split('/').next().unwrap_or(key);
        let kept = match self.helper(registry)? {
            Some(helper) => helper.erase(&self.name_of(key))?,
            None => false,
        };
        if !self.remove(key) {
            return Ok(kept);
        }
        self.write().map(|()| true)
    }

    /// Forgets all credentials in the file, and with the helpers that it names. How many there were.
    pub(super) fn erase_all(&mut self) -> Result<usize> {
        let mut erased = 0;
        if let Some(Value::Object(helpers)) = self.content.get("credHelpers") {
            for (server, name) in helpers {
                let Some(name) = name.as_str().filter(|name| !name.is_empty()) else { continue };
                let (helper, server) = (Helper::new(name)?, self.name_of(normal(server)));
                if helper.get(&server)?.is_some() {
                    erased += usize::from(helper.erase(&server)?);
                }
            }
        }
        if let Some(helper) = self.general_helper()? {
            for server in helper.list()? {
                erased += usize::from(helper.erase(&server)?);
            }
        }
        if let Some(Value::Object(auths)) = self.content.get_mut("auths") {
            let held = |entry: &Value| entry.as_object().is_some_and(|entry| !entry.is_empty());
            erased += auths.values().filter(|entry| held(entry)).count();
            auths.clear();
            self.write()?;
        }
        Ok(erased)
    }

    fn own_helper(&self, registry: &str) -> Result<Option<Helper>> {
        let Some(Value::Object(helpers)) = self.content.get("credHelpers") else { return Ok(None) };
        let found = helpers.iter().find(|(key, _)| normal(key) == registry);
        match found.and_then(|(_, name)| name.as_str()) {
            Some(name) if !name.is_empty() => Helper::new(name).map(Some),
            _ => Ok(None),
        }
    }

    fn general_helper(&self) -> Result<Option<Helper>> {
        match self.content.get("credsStore").and_then(Value::as_str) {
            Some(name) if !name.is_empty() => Helper::new(name).map(Some),
            _ => Ok(None),
        }
    }

    fn helper(&self, registry: &str) -> Result<Option<Helper>> {
        Ok(match self.own_helper(registry)? {
            Some(helper) => Some(helper),
            None => self.general_helper()?,
        })
    }

    fn entry(&self, key: &str) -> Option<&Map<String, Value>> {
        let auths = self.content.get("auths")?.as_object()?;
        auths.iter().find(|(name, _)| normal(name) == key)?.1.as_object()
    }

    fn decode(&self, key: &str, entry: &Map<String, Value>) -> Result<Option<Credentials>> {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
        if let Some(token) = text("identitytoken") {
            return Ok(Some(Credentials::IdentityToken(token.to_owned())));
        }
        // With a helper the entry is there, and empty.
        let Some(auth) = text("auth") else {
            return match self.general_helper()? {
                Some(helper) => helper.get(&self.name_of(key)),
                None => Ok(None),
            };
        };
        let path = self.path.display();
        let bad = || unusable(format!("{path}: auths: {key}: auth is not Base64 of user:password"));
        Credentials::decode(auth).map(Some).ok_or_else(bad)
    }

    fn remove(&mut self, key: &str) -> bool {
        let Some(Value::Object(auths)) = self.content.get_mut("auths") else { return false };
        let before = auths.len();
        auths.retain(|name, _| normal(name) != key);
        auths.len() < before
    }

    /// What the file's own program calls the registry.
    fn name_of(&self, key: &str) -> String {
        let docker = self.path.file_name().is_some_and(|name| name == "config.json");
        if docker && key == "docker.io" { DOCKER_HUB.to_owned() } else { key.to_owned() }
    }

    /// Replaces the file whole, readable by its owner alone. Where it is a symbolic link, what that leads to.
    fn write(&self) -> Result<()> {
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let written = || -> io::Result<()> {
            let directory = directory_of(&path);
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            serde_json::to_writer_pretty(&mut file, &self.content)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        written().map_err(|e| cannot_write(&path, e))
    }
}

/// Held by whoever changes a file of credentials: that of two logins at once none is lost.
pub(super) struct Lock {
    _directory: fs::File,
}

impl Lock {
    /// Waits for the lock of the file's directory, which is made if it is missing.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let locked = || -> io::Result<fs::File> {
            use std::os::unix::fs::DirBuilderExt as _;
            let directory = directory_of(path);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            let directory = fs::File::open(directory)?;
            flock(&directory, FlockOperation::LockExclusive)?;
            Ok(directory)
        };
        locked().map(|directory| Self { _directory: directory }).map_err(|e| cannot_write(path, e))
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    unusable(format!("credentials can't be written to {}", path.display())).because(error)
}

/// Under what keys the credentials for `registry/repository` may be, most particular first.
fn keys(registry: &str, repository: &str) -> Vec<String> {
    let mut key = format!("{registry}/{repository}");
    let mut keys = vec![key.trim_end_matches('/').to_owned()];
    while let Some((shorter, _)) = key.rsplit_once('/') {
        if keys.last().is_none_or(|last| last != shorter) {
            keys.push(shorter.to_owned());
        }
        key = shorter.to_owned();
    }
    keys
}

/// A key as it is meant: Docker writes some with a scheme and a path, and its hub in several ways.
fn normal(key: &str) -> &str {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let name = match bare {
        Some(bare) => bare.split('/').next().unwrap_or(bare),
        None => key.trim_end_matches('/'),
    };
    match name {
        "index.docker.io" | "registry-1.docker.io" | "index.docker.io/v1" => "docker.io",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, AuthFile) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        fs::write(&path, text).unwrap();
        let file = AuthFile::read(&path).unwrap();
        (directory, file)
    }

    fn user(found: Option<Credentials>) -> Option<String> {
        found.map(|credentials| credentials.pair().0.to_owned())
    }

    #[test]
    fn the_most_particular_key_is_taken() {
        let auth = |user: &str| Credentials::password(user, "x").unwrap().encoded();
        let (_directory, file) = file(&format!(
            r#"{{"auths": {{
                "r.io": {{"auth": "{}"}},
                "r.io/team": {{"auth": "{}"}},
                "r.io/team/app": {{"auth": "{}"}},
                "https://index.docker.io/v1/": {{"auth": "{}"}},
                "http://old.io:5000/v2/": {{"auth": "{}"}},
                "token.io": {{"auth": "", "identitytoken": "t"}}
            }}}}"#,
            auth("all"),
            auth("team"),
            auth("app"),
            auth("hub"),
            auth("old"),
        ));
        for (registry, repository, expected) in [
            ("r.io", "x", Some("all")),
            ("r.io", "team", Some("team")),
            ("r.io", "team/other", Some("team")),
            ("r.io", "team/app", Some("app")),
            ("r.io", "teams/app", Some("all")),
            ("docker.io", "library/x", Some("hub")),
            ("old.io:5000", "x", Some("old")),
            ("token.io", "x", Some("<token>")),
            ("old.io", "x", None),
            ("io", "x", None),
        ] {
            let found = user(file.find(registry, repository).unwrap());
            assert_eq!(found.as_deref(), expected, "{registry}/{repository}");
        }
    }

    #[test]
    fn what_is_written_keeps_the_rest_and_is_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_directory, mut file) =
            file(r#"{"detachKeys": "x", "auths": {"a.io": {"auth": "YTpi"}}}"#);
        let me = Credentials::password("me", "x").unwrap();
        file.store("docker.io", &me).unwrap();
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&file.path).unwrap();
        assert!(text.contains("detachKeys") && text.contains(DOCKER_HUB), "{text}");
        let mut again = AuthFile::read(&file.path).unwrap();
        assert_eq!(again.find("docker.io", "library/x").unwrap(), Some(me));
        assert_eq!(user(again.find("a.io", "x").unwrap()).as_deref(), Some("a"));
        assert!(again.erase("docker.io").unwrap());
        assert!(!again.erase("docker.io").unwrap());
        assert_eq!(AuthFile::read(&file.path).unwrap().find("docker.io", "x").unwrap(), None);
    }

    #[test]
    fn damaged_files_and_hostile_helpers_are_errors() {
        let (_directory, bad) = file(r#"{"auths": {"r.io": {"auth": "%"}}}"#);
        bad.find("r.io", "x").unwrap_err();
        let (_directory, path) = file(r#"{"credHelpers": {"r.io": "../../tmp/x"}}"#);
        path.find("r.io", "x").unwrap_err();
        assert_eq!(path.find("other.io", "x").unwrap(), None);
        let (_directory, missing) = file(r#"{"credsStore": "no-such-helper-anywhere"}"#);
        missing.find("r.io", "x").unwrap_err();
    }
}
