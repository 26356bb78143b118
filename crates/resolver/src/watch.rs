//! The directory of endpoints, read again whenever it changes.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::inotify::{CreateFlags, WatchFlags};
use rustix::fs::{Dir, Mode, OFlags, Stat};
use rustix::io::Errno;
use sandbar_sys::During;

use crate::endpoint::Endpoint;
use crate::error::Result;
use crate::names::Names;

/// The most that an endpoint's file may have.
const LARGEST: u64 = 64 * 1024;

/// How far a directory's time of change may be behind: a kernel may count it in ticks.
const TICK: Duration = Duration::from_millis(50);

/// What tells one state of a file from another. Files are replaced, so most of it is the inode.
type Stamp = (u64, i64, i64, i64);

/// The endpoints in a directory, as they are now.
#[derive(Debug)]
pub(crate) struct Watch {
    directory: OwnedFd,
    /// `None` where the user has no inotify instances left, or nobody waits for changes: then the directory's time
    /// of change tells.
    inotify: Option<OwnedFd>,
    changed: Option<Stamp>,
    /// What is in each file; `None` for one that is not understood, which hides no other.
    files: BTreeMap<CString, (Stamp, Option<Endpoint>)>,
    names: Names,
}

impl Watch {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())
            .during("open", || path.display().to_string())?;
        let inotify = rustix::fs::inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK);
        let inotify = inotify.ok().filter(|inotify| {
            let changes = WatchFlags::MOVE
                | WatchFlags::CREATE
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::DELETE
                | WatchFlags::DELETE_SELF;
            rustix::fs::inotify::add_watch(inotify, path, changes).is_ok()
        });
        Self::of(directory, inotify)
    }

    /// That of a directory which nobody waits for: it is only looked at.
    pub(crate) fn of_unwatched(directory: OwnedFd) -> Result<Self> {
        Self::of(directory, None)
    }

    fn of(directory: OwnedFd, inotify: Option<OwnedFd>) -> Result<Self> {
        let (files, names) = (BTreeMap::new(), Names::default());
        let mut watch = Self { directory, inotify, changed: None, files, names };
        watch.read()?;
        Ok(watch)
    }

    /// What becomes readable with a change.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// The names as of this moment: what was written before somebody asked is known when they do.
    pub(crate) fn names(&mut self) -> &Names {
        self.look();
        &self.names
    }

    /// The names as of the last look.
    pub(crate) fn known(&self) -> &Names {
        &self.names
    }

    fn look(&mut self) {
        if self.has_changed() {
            // What can't be read now is read at the next change; what is known stays.
            let _kept = self.read();
        }
    }

    /// Whether there is no endpoint, or the directory itself is gone.
    pub(crate) fn is_over(&mut self) -> bool {
        self.look();
        self.files.is_empty() || self.is_removed()
    }

    /// Whether the directory itself is gone.
    pub(crate) fn is_removed(&self) -> bool {
        rustix::fs::fstat(&self.directory).is_ok_and(|found| found.st_nlink == 0)
    }

    /// Reads it all again, whether or not it is known to have changed.
    pub(crate) fn read(&mut self) -> Result<()> {
        let during =
            |call| move |errno: Errno| sandbar_sys::Failure::new(call, "names".into(), errno);
        self.changed = rustix::fs::fstat(&self.directory).ok().map(|found| stamp(&found));
        let mut known = std::mem::take(&mut self.files);
        for entry in Dir::read_from(&self.directory).map_err(during("getdents"))? {
            let entry = entry.map_err(during("getdents"))?;
            let name = entry.file_name();
            if name.to_bytes().starts_with(b".") {
                continue;
            }
            let Some((stamp, file)) = open(self.directory.as_fd(), name) else { continue };
            let endpoint = match known.remove(name) {
                Some((before, endpoint)) if before == stamp => endpoint,
                _ => read(file),
            };
            self.files.insert(name.to_owned(), (stamp, endpoint));
        }
        self.names =
            self.files.values().filter_map(|(_stamp, endpoint)| endpoint.as_ref()).collect();
        Ok(())
    }

    fn has_changed(&self) -> bool {
        let Some(inotify) = &self.inotify else {
            let Ok(found) = rustix::fs::fstat(&self.directory) else { return false };
            let seconds = u64::try_from(found.st_mtime).unwrap_or(0);
            let recent = SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
                .is_ok_and(|since| since < Duration::from_secs(1) + TICK);
            return recent || self.changed != Some(stamp(&found));
        };
        let mut events = [MaybeUninit::<u8>::uninit(); 4096];
        let mut changed = false;
        while rustix::io::read(inotify, &mut events).is_ok_and(|(read, _rest)| !read.is_empty()) {
            changed = true;
        }
        changed
    }
}

fn stamp(found: &Stat) -> Stamp {
    let nanoseconds = i64::try_from(found.st_mtime_nsec).unwrap_or(0);
    (found.st_ino, found.st_mtime, nanoseconds, found.st_size)
}

fn open(directory: BorrowedFd<'_>, name: &CStr) -> Option<(Stamp, File)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = rustix::fs::openat(directory, name, flags, Mode::empty()).ok()?;
    let found = rustix::fs::fstat(&file).ok()?;
    Some((stamp(&found), file.into()))
}

fn read(file: File) -> Option<Endpoint> {
    let mut text = String::new();
    let read = file.take(LARGEST).read_to_string(&mut text).ok()?;
    (u64::try_from(read).ok()? < LARGEST).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::NetworkDirectory;

    fn directory() -> (tempfile::TempDir, NetworkDirectory) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = NetworkDirectory::new(temporary.path().join("blog"));
        directory.write(&"network blog\nlisten 10.85.0.1".parse().unwrap()).unwrap();
        (temporary, directory)
    }

    fn endpoint(name: &str) -> Endpoint {
        format!("address 10.85.0.2\nname {name}").parse().unwrap()
    }

    fn follows_every_change(directory: &NetworkDirectory, mut watch: Watch) {
        assert!(watch.is_over());
        for round in 0..50 {
            let name = format!("web{round}");
            directory.put_endpoint("a", &endpoint(&name)).unwrap();
            assert!(watch.names().addresses(&name).is_some(), "{name}");
            assert!(!watch.is_over());
        }
        assert!(watch.names().addresses("web0").is_none());
        directory.remove_endpoint("a").unwrap();
        directory.remove_endpoint("a").unwrap();
        assert!(watch.names().addresses("web49").is_none());
        assert!(watch.is_over() && !watch.is_removed());
        std::fs::remove_dir_all(directory.path()).unwrap();
        assert!(watch.is_over() && watch.is_removed());
    }

    #[test]
    fn a_change_is_known_at_once() {
        let (_temporary, directory) = directory();
        let watch = Watch::open(&directory.names()).unwrap();
        assert!(watch.inotify.is_some());
        follows_every_change(&directory, watch);
    }

    #[test]
    fn a_change_is_known_at_once_without_inotify() {
        let (_temporary, directory) = directory();
        let watch = Watch { inotify: None, ..Watch::open(&directory.names()).unwrap() };
        follows_every_change(&directory, watch);
    }

    #[test]
    fn a_file_that_is_not_understood_hides_no_other() {
        let (_temporary, directory) = directory();
        directory.put_endpoint("a", &endpoint("web")).unwrap();
        std::fs::write(directory.names().join("b"), "address nowhere\nname web").unwrap();
        std::fs::write(directory.names().join("c"), vec![b'#'; 70_000]).unwrap();
        std::fs::write(directory.names().join(".d"), "address 10.85.0.9\nname web").unwrap();
        rustix::fs::symlink("a", directory.names().join("e")).unwrap();
        let mut watch = Watch::open(&directory.names()).unwrap();
        assert_eq!(watch.names().addresses("web").unwrap().len(), 1);
    }
}
