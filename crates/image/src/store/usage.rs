//! What the store takes of the disk, and for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::Store;

use crate::digest::{Digest, ImageId};
use crate::error::{Error, Result};

/// Bytes on disk, as `du` counts them: whole blocks, and a file with several names once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Each image, in the order of ids.
    pub images: Vec<ImageUsage>,
    /// Layers, configurations and manifests together, each once, those that no image needs included.
    pub total: u64,
    /// What of it no image needs: layers of a pull that goes on or was broken off.
    pub unreferenced: u64,
    /// What of `total` is freed if all images go that are not in use.
    pub reclaimable: u64,
    /// What has come of blobs whose download was broken off, or goes on.
    pub partial: u64,
    /// How many blobs that is.
    pub partials: usize,
}

/// What one image takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageUsage {
    /// Whose.
    pub id: ImageId,
    /// Bytes that other images have a part in.
    pub shared: u64,
    /// Bytes that its removal would free.
    pub unique: u64,
}

impl Store {
    /// Measures everything, by looking at every file there is. `in_use` says which images are needed.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io), [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt).
    pub fn usage(&self, in_use: impl Fn(&ImageId) -> bool) -> Result<Usage> {
        let mut parts = BTreeMap::new();
        for (directory, what) in [(&self.layers, "layers"), (&self.blobs, "blobs")] {
            for name in self.names(directory)? {
                if let Some(digest) = Digest::from_hex(&name) {
                    parts.insert((what, digest), disk_usage(directory.as_fd(), &name)?);
                }
            }
        }
        let needs = self.needs()?;
        let mut users: BTreeMap<_, u32> = BTreeMap::new();
        for part in needs.values().flatten() {
            *users.entry(*part).or_default() += 1;
        }
        let sum = |of: &mut dyn Iterator<Item = &(&'static str, Digest)>| -> u64 {
            of.filter_map(|part| parts.get(part)).sum()
        };
        let images = needs.iter().map(|(id, needed)| ImageUsage {
            id: *id,
            shared: sum(&mut needed.iter().filter(|part| users.get(*part) > Some(&1))),
            unique: sum(&mut needed.iter().filter(|part| users.get(*part) == Some(&1))),
        });
        let used: BTreeSet<_> =
            needs.iter().filter(|(id, _)| in_use(id)).flat_map(|(_, needed)| needed).collect();
        let partials = self.names(&self.partial)?;
        let mut partial = 0;
        for name in &partials {
            partial += disk_usage(self.partial.as_fd(), name)?;
        }
        Ok(Usage {
            images: images.collect(),
            total: parts.values().sum(),
            unreferenced: sum(&mut parts.keys().filter(|part| !users.contains_key(*part))),
            reclaimable: sum(&mut parts.keys().filter(|part| !used.contains(*part))),
            partial,
            partials: partials.len(),
        })
    }

    /// The layers and blobs that each image needs.
    fn needs(&self) -> Result<BTreeMap<ImageId, BTreeSet<(&'static str, Digest)>>> {
        let mut needs = BTreeMap::new();
        for id in self.ids()? {
            let Some(record) = self.record(&id)? else { continue };
            let mut parts = BTreeSet::from([("blobs", id.0)]);
            parts.extend(record.layers.into_iter().map(|layer| ("layers", layer)));
            needs.insert(id, parts);
        }
        for name in self.names(&self.manifests)? {
            let pointer = self.read_whole(&self.manifests, &name)?;
            let id = pointer.and_then(|bytes| serde_json::from_slice::<ImageId>(&bytes).ok());
            if let (Some(manifest), Some(id)) = (Digest::from_hex(&name), id)
                && let Some(parts) = needs.get_mut(&id)
            {
                parts.insert(("blobs", manifest));
            }
        }
        Ok(needs)
    }
}

/// Bytes on disk of the directory `path` and all below it, counted as in [`Usage`]; 0 if it is not there.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io).
pub fn bytes_on_disk(path: &Path) -> Result<u64> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => disk_usage(fd.as_fd(), "."),
        Err(Errno::NOENT) => Ok(0),
        Err(errno) => Err(Error::call("open", path.display(), errno)),
    }
}

/// Bytes on disk of `name` and all below it. What goes meanwhile is not counted.
pub(super) fn disk_usage(at: BorrowedFd<'_>, name: &str) -> Result<u64> {
    let failed = |call: &str, e| Error::call(call, name, e);
    let mut linked = BTreeSet::new();
    let mut bytes = 0_u64;
    let mut count = |stat: &Stat| {
        if is_directory(stat) || stat.st_nlink == 1 || linked.insert((stat.st_dev, stat.st_ino)) {
            bytes = bytes.saturating_add(u64::try_from(stat.st_blocks).unwrap_or(0) * 512);
        }
    };
    // By path, one directory open at a time: a layer may be deeper than a process has descriptors.
    let mut paths = Vec::new();
    match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => {
            count(&stat);
            if is_directory(&stat) {
                paths.push(name.as_bytes().to_vec());
            }
        }
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(failed("newfstatat", errno)),
    }
    while let Some(path) = paths.pop() {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat2(at, &path, flags, Mode::empty(), resolve) {
            Ok(fd) => fd,
            // The last few names of a path as long as can be, with ours before it.
            Err(Errno::NOENT | Errno::NAMETOOLONG) => continue,
            Err(errno) => return Err(failed("openat2", errno)),
        };
        for entry in Dir::read_from(&fd).map_err(|e| failed("getdents64", e))? {
            let entry = entry.map_err(|e| failed("getdents64", e))?;
            let below = entry.file_name();
            if matches!(below.to_bytes(), b"." | b"..") {
                continue;
            }
            match rustix::fs::statat(&fd, below, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => {
                    count(&stat);
                    if is_directory(&stat) {
                        paths.push([&path, &b"/"[..], below.to_bytes()].concat());
                    }
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed("newfstatat", errno)),
            }
        }
    }
    Ok(bytes)
}

fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}
