//! Unpacking one layer.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Gid, Mode, Timespec, Uid};
use rustix::io::Errno;

use super::name::Name;
use super::root::{Fill, Root, is_directory};
use super::whiteout::{self, Whiteout};
use super::{attributes, nodes};
use crate::error::{Error, ErrorKind, Result, shown};
use crate::limits::Budget;
use crate::recipe::Recording;
use crate::tarball::{Entry, Kind, TarReader};

/// The most bytes of directories' names that are remembered to set their times at the end. A large image's take
/// some 20 MB.
const DIRECTORY_NAMES: usize = 128 << 20;

/// Unpacks all of `tar` into the empty directory `root`; gives the number of bytes in its files.
///
/// Holes of sparse files are taken of `budget`, as the stream itself is. What the layer replaces of its own goes to
/// `kept` in `layer`, the directory that `root` is in.
pub(crate) fn unpack<R: Read>(
    root: OwnedFd,
    layer: OwnedFd,
    tar: &mut TarReader<Recording<R>>,
    most_entries: u64,
    fill: Fill,
    budget: &Budget,
) -> Result<u64> {
    let mut layer = Layer::new(root, layer, fill, budget)?;
    let mut entries = 0_u64;
    while let Some(entry) = tar.next()? {
        entries += 1;
        if entries > most_entries {
            let message = format!("a layer has more than {most_entries} entries");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        layer.add(&entry, tar)?;
    }
    layer.finish()
}

struct Layer<'a> {
    root: Root,
    budget: &'a Budget,
    /// What a later entry in it would change: set when all is there.
    times: Vec<(Vec<u8>, Timespec)>,
    names: usize,
    bytes: u64,
}

impl<'a> Layer<'a> {
    fn new(root: OwnedFd, layer: OwnedFd, fill: Fill, budget: &'a Budget) -> Result<Self> {
        // Unless the archive says otherwise.
        rustix::fs::fchown(&root, Some(Uid::ROOT), Some(Gid::ROOT))
            .map_err(|e| Error::call("fchown", "a layer's root, 0, 0", e))?;
        rustix::fs::fchmod(&root, Mode::from_raw_mode(0o755))
            .map_err(|e| Error::call("fchmod", "a layer's root, 0755", e))?;
        let root = Root::new(root, layer, fill);
        Ok(Self { root, budget, times: Vec::new(), names: 0, bytes: 0 })
    }

    fn add<R: Read>(&mut self, entry: &Entry, tar: &mut TarReader<Recording<R>>) -> Result<()> {
        let path = Name::parse(&entry.path)?;
        let Some((directory, name)) = path.split() else {
            return self.root_itself(entry);
        };
        let whiteout = Whiteout::parse(directory, name)?;
        let parent = self.root.directory(directory)?;
        let parent = parent.as_ref();
        let root = &mut self.root;
        match (whiteout, &entry.kind) {
            (Whiteout::Of(hidden), _) => return whiteout::hide(parent.fd(), hidden),
            (Whiteout::Opaque, _) => {
                // The parent may be open by its path alone, which is not enough to set attributes.
                let fd = root.reopen(parent.fd(), directory)?;
                return whiteout::make_opaque(fd.as_fd(), directory);
            }
            (Whiteout::None, Kind::File) => {
                nodes::file(root, parent, name, entry, tar)?;
                self.bytes = self.bytes.saturating_add(entry.size);
            }
            (Whiteout::None, Kind::Sparse(sparse)) => {
                // Holes cost nothing here, but whoever copies the file reads every byte of them.
                self.budget
                    .take(sparse.size - entry.size)
                    .map_err(|e| Error::reading(shown(&entry.path), e))?;
                nodes::sparse_file(root, parent, name, (entry, sparse), tar)?;
                self.bytes = self.bytes.saturating_add(entry.size);
            }
            (Whiteout::None, Kind::Directory) => {
                nodes::directory(root, parent, name, entry)?;
                self.remember(path.as_bytes(), entry.mtime)?;
            }
            (Whiteout::None, Kind::Symlink { target }) => {
                nodes::symlink(root, parent, name, entry, target)?;
            }
            (Whiteout::None, Kind::HardLink { target }) => {
                nodes::hard_link(root, parent, name, target)?;
            }
            (Whiteout::None, Kind::CharDevice { .. } | Kind::BlockDevice { .. } | Kind::Fifo) => {
                nodes::special(root, parent, name, entry, special(&entry.kind))?;
            }
        }
        Ok(())
    }

    fn root_itself(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != Kind::Directory {
            let path = shown(&entry.path);
            return Err(Error::malformed(format!("{path} makes the root something else")));
        }
        attributes::set(self.root.fd(), entry)?;
        self.remember(b"", entry.mtime)
    }

    fn remember(&mut self, path: &[u8], mtime: Timespec) -> Result<()> {
        self.names += path.len() + size_of::<(Vec<u8>, Timespec)>();
        if self.names > DIRECTORY_NAMES {
            return Err(Error::new(ErrorKind::TooLarge, "a layer has too many directories"));
        }
        self.times.push((path.to_vec(), mtime));
        Ok(())
    }

    fn finish(self) -> Result<u64> {
        for (path, mtime) in &self.times {
            let fd = match self.root.open_itself(path) {
                Ok(fd) => fd,
                // It became something else since, or can't be reached any more: it needs no time.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(errno) => return Err(Error::call("openat2", shown(path), errno)),
            };
            let stat = rustix::fs::fstat(&fd).map_err(|e| Error::call("fstat", shown(path), e))?;
            if is_directory(&stat) {
                rustix::fs::futimens(&fd, &attributes::times(*mtime))
                    .map_err(|e| Error::call("futimens", shown(path), e))?;
            }
        }
        self.root.finish()?;
        Ok(self.bytes)
    }
}

/// The file type and number of a device or FIFO.
fn special(kind: &Kind) -> (FileType, rustix::fs::Dev) {
    match *kind {
        Kind::CharDevice { major, minor } => {
            (FileType::CharacterDevice, rustix::fs::makedev(major, minor))
        }
        Kind::BlockDevice { major, minor } => {
            (FileType::BlockDevice, rustix::fs::makedev(major, minor))
        }
        _ => (FileType::Fifo, 0),
    }
}
