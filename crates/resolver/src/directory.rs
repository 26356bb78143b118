//! A network's directory: what the engine writes and its resolver reads.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{ErrorKind as Io, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use sandbar_sys::During;

use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::lines::file_name;
use crate::network::Network;

/// A network's directory.
///
/// ```text
/// resolver.conf    the network, as [`Network`] is as text
/// resolver.lock    a FIFO, held and open for writing by the network's resolver as long as it lives
/// names/ENDPOINT   a pod on it, as [`Endpoint`] is as text; `.ENDPOINT` while it is written
/// ```
///
/// `names`, its files and `resolver.conf` may be read by all, for the resolver runs as nobody. It also looks into
/// the directories beside this one, where a pod is on several networks: so the directory that they are in must let
/// all pass (mode 0711); those above it need not.
#[derive(Clone, Debug)]
pub struct NetworkDirectory(PathBuf);

impl NetworkDirectory {
    /// The directory at `path`, which is made when something is written to it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes what its resolver has to know, and makes `names`.
    ///
    /// # Errors
    /// As mkdir(2), open(2) and rename(2).
    pub fn write(&self, network: &Network) -> Result<()> {
        make_directory(&self.0, 0o711)?;
        make_directory(&self.names(), 0o755)?;
        // Whoever puts a pod on the network writes it, and they may be many at once. A lock, for what is written
        // beside it is called the same for all, so that those who are killed leave one file at the most.
        let directory = File::open(&self.0).during("open", || self.0.display().to_string())?;
        rustix::fs::flock(&directory, FlockOperation::LockExclusive)
            .during("flock", || self.0.display().to_string())?;
        let text = network.to_string();
        let written = fs::read_to_string(self.0.join("resolver.conf"));
        if written.is_ok_and(|written| written == text) {
            return Ok(());
        }
        replace(&self.0, "resolver.conf", &text)
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// As open(2), or a line that is not understood.
    pub fn read(&self) -> Result<Network> {
        let path = self.0.join("resolver.conf");
        let text = fs::read_to_string(&path).during("read", || path.display().to_string())?;
        text.parse().map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
    }

    /// Has the resolver know an endpoint, or know it anew, from now on. `id` is a file's name, and none that
    /// begins with a dot. A resolver is to be [started](crate::Start::ensure) after that, not before: one
    /// that was just about to end has seen the endpoint then, or has let its lock go.
    ///
    /// # Errors
    /// As open(2) and rename(2).
    pub fn put_endpoint(&self, id: &str, endpoint: &Endpoint) -> Result<()> {
        replace(&self.names(), file_name("endpoint", id)?, &endpoint.to_string())
    }

    /// Has the resolver forget an endpoint. With the last one it ends.
    ///
    /// # Errors
    /// As unlink(2); one that is not there is no error.
    pub fn remove_endpoint(&self, id: &str) -> Result<()> {
        let path = self.names().join(file_name("endpoint", id)?);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != Io::NotFound => {
                Err(error).during("unlink", || path.display().to_string()).map_err(Error::from)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn names(&self) -> PathBuf {
        self.0.join("names")
    }

    /// Whether the resolver knows an endpoint of this id.
    #[must_use]
    pub fn has_endpoint(&self, id: &str) -> bool {
        file_name("endpoint", id).is_ok_and(|id| self.names().join(id).exists())
    }

    /// What is hung up (`POLLHUP`) while there is no resolver, once there was one since it was opened. Nothing can
    /// be read from it. To be opened before a resolver is [made sure of](crate::Start::ensure): then no end is
    /// missed.
    ///
    /// # Errors
    /// As open(2), when there never was a resolver too.
    pub fn end(&self) -> Result<OwnedFd> {
        // As poll(2) and fifo(7): of one that nobody has opened for writing yet, nothing is said.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let path = self.lock();
        let end = rustix::fs::open(&path, flags, Mode::empty());
        Ok(end.during("open", || path.display().to_string())?)
    }

    fn lock(&self) -> PathBuf {
        self.0.join("resolver.lock")
    }

    /// Takes the resolver's lock; `None` if it is taken.
    ///
    /// Whoever tries has it open for writing for a moment, which nobody is told while a resolver has it so too.
    pub(crate) fn try_lock(&self) -> Result<Option<OwnedFd>> {
        let path = self.lock();
        let shown = || path.display().to_string();
        match rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR) {
            Ok(()) | Err(Errno::EXIST) => {}
            failed => failed.during("mkfifo", shown)?,
        }
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::open(&path, flags, Mode::empty()).during("open", shown)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => {
                Err(errno).during("flock", || path.display().to_string()).map_err(Error::from)
            }
        }
    }
}

fn make_directory(path: &Path, mode: u32) -> Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        // Whatever the umask is.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode))
            .during("chmod", || path.display().to_string()),
        Err(error) if error.kind() == Io::AlreadyExists => Ok(()),
        Err(error) => Err(error).during("mkdir", || path.display().to_string()),
    }
    .map_err(Error::from)
}

/// Writes a file that all may read beside `name`, then renames it.
fn replace(directory: &Path, name: &str, text: &str) -> Result<()> {
    let (beside, path) = (directory.join(format!(".{name}")), directory.join(name));
    let shown = || beside.display().to_string();
    let mut file = File::create(&beside).during("open", shown)?;
    file.set_permissions(Permissions::from_mode(0o644)).during("chmod", shown)?;
    file.write_all(text.as_bytes()).during("write", shown)?;
    fs::rename(&beside, &path).during("rename", || path.display().to_string())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_write_the_same_network() {
        let temporary = tempfile::tempdir().unwrap();
        let network: Network =
            "network blog\nlisten 10.85.0.1\nsubnet 10.85.0.0/24".parse().unwrap();
        for round in 0..50 {
            let directory = NetworkDirectory::new(temporary.path().join(round.to_string()));
            std::thread::scope(|scope| {
                for _ in 0..16 {
                    scope.spawn(|| directory.write(&network).unwrap());
                }
            });
            assert_eq!(directory.read().unwrap().to_string(), network.to_string());
            let mut files: Vec<_> = fs::read_dir(directory.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            assert_eq!(files, ["names", "resolver.conf"]);
        }
    }

    #[test]
    fn a_network_that_has_changed_is_written_anew() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = NetworkDirectory::new(temporary.path().join("blog"));
        // What one that was killed leaves.
        for text in ["network blog\nlisten 10.85.0.1", "network blog\nlisten 10.85.0.2"] {
            directory.write(&text.parse().unwrap()).unwrap();
            fs::write(directory.path().join(".resolver.conf"), "netw").unwrap();
            assert_eq!(directory.read().unwrap().to_string().trim(), text);
        }
    }
}
