//! What is in a directory, to be compared with another.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Everything about every entry below a directory, and about itself, by their paths in it.
///
/// # Panics
/// If one can't be read.
#[must_use]
pub fn described(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut first = BTreeMap::new();
    let mut paths = vec![PathBuf::new()];
    while let Some(path) = paths.pop() {
        let full = root.join(&path);
        let meta = match full.symlink_metadata() {
            // A whiteout with nothing to hide: overlayfs lists it in a directory that only one layer has.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            meta => meta.expect("an entry"),
        };
        let kind = meta.file_type();
        let content = if kind.is_dir() {
            for entry in fs::read_dir(&full).expect("a directory") {
                paths.push(path.join(entry.expect("a name").file_name()));
            }
            "directory".to_owned()
        } else if kind.is_file() {
            let digest = Sha256::digest(fs::read(&full).expect("a file"));
            format!("file of {} bytes, {:x?}", meta.size(), &digest[..8])
        } else if kind.is_symlink() {
            format!("link to {:?}", fs::read_link(&full).expect("a link"))
        } else if kind.is_fifo() {
            "pipe".to_owned()
        } else {
            format!("device {:x}", meta.rdev())
        };
        let links = match kind.is_dir() {
            true => PathBuf::new(),
            false => first.entry(meta.ino()).or_insert_with(|| path.clone()).clone(),
        };
        let text = format!(
            "{content} {:o} {}:{} {}.{:09} {links:?} {}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec(),
            attributes(&full),
        );
        all.insert(path, text);
    }
    all
}

fn attributes(path: &Path) -> String {
    let mut names = [0; 4096];
    let length = rustix::fs::llistxattr(path, &mut names[..]).expect("names of attributes");
    let mut all = BTreeMap::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = [0; 256];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).expect("an attribute");
        all.insert(String::from_utf8_lossy(name).into_owned(), value[..length].to_vec());
    }
    format!("{all:?}")
}

/// Fails, with what is different, unless the two are the same.
///
/// # Panics
/// If they are not.
#[track_caller]
pub fn assert_same(
    what: &str,
    mine: &BTreeMap<PathBuf, String>,
    theirs: &BTreeMap<PathBuf, String>,
) {
    let paths: BTreeSet<_> = mine.keys().chain(theirs.keys()).collect();
    let different: Vec<_> = paths
        .into_iter()
        .map(|path| (path, mine.get(path), theirs.get(path)))
        .filter(|(_, mine, theirs)| mine != theirs)
        .collect();
    assert!(different.is_empty(), "{what}: {different:#?}");
}
