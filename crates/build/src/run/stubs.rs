//! Where something is mounted there must be something to mount on: what the runtime makes for that is no part of what
//! the command wrote.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::Stat;
use sandbar_image::Changes;

use crate::error::Result;
use crate::tree::Tree;

/// What the engine mounts in every container.
const USUAL: [&str; 6] =
    ["/proc", "/dev", "/sys", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"];

/// The places of mounts and the directories that lead there, each with what was there before.
#[derive(Debug)]
pub(super) struct Stubs(BTreeMap<PathBuf, Option<Stat>>);

impl Stubs {
    /// Looks at them in the image before the command runs.
    pub(super) fn before<'a>(tree: &Tree, targets: impl Iterator<Item = &'a Path>) -> Result<Self> {
        let mut places = BTreeMap::new();
        for target in USUAL.iter().map(Path::new).chain(targets) {
            for place in target.ancestors().filter(|place| place.parent().is_some()) {
                let path = place.as_os_str().as_bytes();
                let path = path.strip_prefix(b"/").unwrap_or(path);
                places.insert(Path::new(OsStr::from_bytes(path)).to_owned(), tree.stat(path)?);
            }
        }
        Ok(Self(places))
    }

    /// Leaves out of the changes in `upper` what is there for the mounts alone: what is empty and was not there
    /// before, or is as it was.
    pub(super) fn leave_out(&self, changes: Changes, upper: &Path) -> Result<Changes> {
        let is_stub = |(path, before): &(&PathBuf, &Option<Stat>)| {
            let Some(before) = before else { return true };
            std::fs::symlink_metadata(upper.join(path)).is_ok_and(|now| {
                (now.mode(), now.uid(), now.gid()) == (before.st_mode, before.st_uid, before.st_gid)
            })
        };
        let stubs = self.0.iter().filter(is_stub).map(|(path, _)| path.as_path());
        Ok(changes.without_empty(stubs))
    }
}
