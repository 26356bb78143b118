//! The files of credentials, in the order in which they are asked, and the one that is written.

use std::path::{Path, PathBuf};

use super::file::{AuthFile, Lock};
use super::{Credentials, unusable};
use crate::error::Result;

/// Where credentials are kept.
///
/// Asked are, in turn, the file of `$DOCKER_CONFIG` where that is set, Podman's `containers/auth.json` in
/// `$XDG_RUNTIME_DIR` (for root, `/run/containers/0`) and in `$XDG_CONFIG_HOME`, and Docker's `~/.docker/config.json`.
/// The first of them is written. `$REGISTRY_AUTH_FILE` is asked and written alone.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    files: Vec<PathBuf>,
}

impl Keyring {
    /// The files that this process's environment tells of.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok(), rustix::process::geteuid().is_root())
    }

    /// The files that other variables tell of.
    #[must_use]
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>, root: bool) -> Self {
        let path = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        if let Some(file) = path("REGISTRY_AUTH_FILE") {
            return Self::file(&file);
        }
        let run = path("XDG_RUNTIME_DIR").map(|run| run.join("containers/auth.json"));
        let run = run.or_else(|| root.then(|| PathBuf::from("/run/containers/0/auth.json")));
        let home = path("HOME");
        let settings = path("XDG_CONFIG_HOME").or_else(|| Some(home.as_ref()?.join(".config")));
        let files = [
            path("DOCKER_CONFIG").map(|directory| directory.join("config.json")),
            run,
            settings.map(|settings| settings.join("containers/auth.json")),
            home.map(|home| home.join(".docker/config.json")),
        ];
        Self { files: files.into_iter().flatten().collect() }
    }

    /// Just this file: what `--authfile` is for.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self { files: vec![path.to_owned()] }
    }

    /// The credentials for `registry/repository`, the most particular of the first file that has some.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) if a file is damaged, or a helper fails.
    pub fn find(&self, registry: &str, repository: &str) -> Result<Option<Credentials>> {
        for path in &self.files {
            if let Some(found) = AuthFile::read(path)?.find(registry, repository)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Keeps credentials under `key`, which is a registry or `registry/namespace`. The file is given back that has
    /// them, or that names the helper that has.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) if they can't be kept.
    pub fn store(&self, key: &str, credentials: &Credentials) -> Result<&Path> {
        let path = self.written()?;
        let _lock = Lock::of(path)?;
        AuthFile::read(path)?.store(key, credentials)?;
        Ok(path)
    }

    /// Forgets what is kept under `key`, in the file that is written. Whether there was something.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) if it can't be forgotten, or if another program's
    /// file has it.
    pub fn erase(&self, key: &str) -> Result<bool> {
        let path = self.written()?;
        let _lock = Lock::of(path)?;
        let erased = AuthFile::read(path)?.erase(key)?;
        let (registry, namespace) = key.split_once('/').unwrap_or((key, ""));
        for other in self.files.iter().filter(|other| *other != path) {
            if AuthFile::read(other)?.find(registry, namespace)?.is_some() {
                let other = other.display();
                return Err(unusable(format!(
                    "{other} still has credentials for {key}: log out with the program that wrote \
                     it, or with REGISTRY_AUTH_FILE={other}"
                )));
            }
        }
        Ok(erased)
    }

    /// Forgets everything in the file that is written, and with the helpers that it names. How many credentials there
    /// were, and the file.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) if something can't be forgotten.
    pub fn erase_all(&self) -> Result<(usize, &Path)> {
        let path = self.written()?;
        let _lock = Lock::of(path)?;
        Ok((AuthFile::read(path)?.erase_all()?, path))
    }

    fn written(&self) -> Result<&Path> {
        self.files.first().map(PathBuf::as_path).ok_or_else(|| {
            unusable(
                "there is nowhere to keep credentials: set REGISTRY_AUTH_FILE to a file's path",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_asked_in_order_and_the_named_one_alone() {
        let files = |variables: &[(&str, &str)], root| {
            let variable = |name: &str| {
                variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
            };
            let files = Keyring::from_variables(variable, root).files;
            files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        let home = ("HOME", "/h");
        let shared = ["/h/.config/containers/auth.json", "/h/.docker/config.json"];
        assert_eq!(files(&[home], true), [&["/run/containers/0/auth.json"], &shared[..]].concat());
        assert_eq!(files(&[home], false), shared);
        assert_eq!(
            files(&[home, ("XDG_RUNTIME_DIR", "/r"), ("DOCKER_CONFIG", "/d")], true),
            [&["/d/config.json", "/r/containers/auth.json"], &shared[..]].concat()
        );
        assert_eq!(files(&[home, ("REGISTRY_AUTH_FILE", "/a")], true), ["/a"]);
    }

    #[test]
    fn the_first_file_is_written_and_others_are_told_of() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (directory.path().join("x/a"), directory.path().join("b"));
        let me = Credentials::password("me", "x").unwrap();
        let ring = Keyring { files: vec![a.clone(), b.clone()] };
        assert_eq!(ring.store("r.io", &me).unwrap(), a);
        assert_eq!(ring.find("r.io", "app").unwrap(), Some(me.clone()));
        assert!(ring.erase("r.io").unwrap());
        assert_eq!(ring.find("r.io", "app").unwrap(), None);
        Keyring::file(&b).store("r.io", &me).unwrap();
        ring.erase("r.io").unwrap_err();
        ring.store("r.io", &me).unwrap();
        ring.store("s.io/x", &me).unwrap();
        assert_eq!(ring.erase_all().unwrap(), (2, a.as_path()));
        assert_eq!(ring.erase_all().unwrap().0, 0);
        assert_eq!(Keyring::file(&b).find("r.io", "app").unwrap(), Some(me));
    }
}
