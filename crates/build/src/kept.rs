//! What builds keep on disk beside images, measured and removed: caches, and what is known of steps.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use sandbar_engine::{Engine, Roots};
use sandbar_image::bytes_on_disk;
use sandbar_sys::During;

use crate::error::Result;
use crate::workspace::{Workspace, base, is_locked, try_lock};

/// What builds keep, and have in work, in bytes of whole blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What `RUN --mount=type=cache` shows.
    pub caches: Vec<Cache>,
    /// How many steps are known.
    pub steps: usize,
    /// All of it.
    pub bytes: u64,
    /// What of it no build has in use.
    pub reclaimable: u64,
}

/// A cache of `RUN --mount=type=cache`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// The digest of its id.
    pub name: String,
    /// Whether a `RUN` has it mounted now.
    pub in_use: bool,
    /// When a `RUN` last had it mounted.
    pub used: Option<Timestamp>,
    /// Bytes.
    pub bytes: u64,
}

/// What [`prune_kept`] removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrunedCaches {
    /// The caches that are gone.
    pub caches: Vec<String>,
    /// Bytes on disk that they and what was known of steps had.
    pub freed: u64,
}

/// Measures what builds keep, by looking at every file.
///
/// # Errors
/// [`Kind::System`](crate::Kind::System).
pub fn kept(roots: &Roots) -> Result<Kept> {
    let base = base(roots);
    let caches = caches(&base)?;
    let steps = records(&base);
    let (mut working, mut left) = (0, 0);
    for name in names(&base.join("tmp")) {
        let path = base.join("tmp").join(name);
        let bytes = if is_locked(&path) { &mut working } else { &mut left };
        *bytes += bytes_on_disk(&path)?;
    }
    let of_steps: u64 = steps.iter().map(|(_, bytes, _)| bytes).sum();
    let free = caches.iter().filter(|cache| !cache.in_use);
    Ok(Kept {
        steps: steps.len(),
        bytes: caches.iter().map(|cache| cache.bytes).sum::<u64>() + of_steps + working + left,
        reclaimable: free.map(|cache| cache.bytes).sum::<u64>() + of_steps + left,
        caches,
    })
}

/// Removes caches that no build has in use, what is known of steps, and what killed builds left. With `until` only what
/// was last used, or done, before then.
///
/// # Errors
/// [`Kind::System`](crate::Kind::System).
pub fn prune_kept(engine: &Engine, until: Option<Timestamp>) -> Result<PrunedCaches> {
    let base = base(engine.roots());
    let before = |at: Option<Timestamp>| until.is_none_or(|until| at.is_some_and(|at| at < until));
    // What is moved into it goes with it, whoever of us is killed.
    let work = Workspace::open(engine)?;
    let mut pruned = PrunedCaches::default();
    for cache in caches(&base)?.into_iter().filter(|cache| before(cache.used)) {
        let path = base.join("caches").join(&cache.name);
        let lock = path.with_extension("lock");
        let Some(_held) = try_lock(&lock, FlockOperation::NonBlockingLockExclusive)? else {
            continue;
        };
        match std::fs::rename(&path, work.new_path()) {
            // Somebody else was first.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            renamed => renamed.during("rename", || path.display().to_string())?,
        }
        // Who waits for the lock sees that it is another's, and asks again.
        std::fs::remove_file(&lock).during("unlink", || lock.display().to_string())?;
        pruned.freed += cache.bytes;
        pruned.caches.push(cache.name);
    }
    for (name, bytes, done) in records(&base) {
        if before(done) && std::fs::remove_file(base.join("steps").join(name)).is_ok() {
            pruned.freed += bytes;
        }
    }
    Ok(pruned)
}

/// All caches, by name.
fn caches(base: &Path) -> Result<Vec<Cache>> {
    let all = base.join("caches");
    let names = names(&all).into_iter().filter(|name| all.join(name).is_dir());
    names
        .map(|name| {
            let path = all.join(&name);
            let lock = path.with_extension("lock");
            let used = std::fs::metadata(&lock).and_then(|it| it.modified()).ok();
            Ok(Cache {
                in_use: is_locked(&lock),
                used: used.and_then(|it| Timestamp::try_from(it).ok()),
                bytes: bytes_on_disk(&path)?,
                name,
            })
        })
        .collect()
}

/// What is known of steps: each record's name, bytes, and when it was written.
fn records(base: &Path) -> Vec<(String, u64, Option<Timestamp>)> {
    let all = base.join("steps");
    let files = names(&all).into_iter().filter_map(|name| {
        let metadata = std::fs::symlink_metadata(all.join(&name)).ok()?;
        let done = metadata.modified().ok().and_then(|it| Timestamp::try_from(it).ok());
        Some((name, metadata.blocks() * 512, done))
    });
    files.collect()
}

/// The names in a directory, in order; none if it is not there.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}
