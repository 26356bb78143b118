//! A build's own directory, which goes when the build is over; and those that killed builds left.
//!
//! ```text
//! ROOT/build/
//!   lock              held while a build's directory is made, and killed ones' are cleared
//!   tmp/ID/           a build's: locked as long as it goes on
//!     images/HEX      an image that it still needs: no removal takes it
//!   steps/KEY         what a step made; drawn in cache.rs
//!   caches/HEX/       what `RUN --mount=type=cache` shows
//!   caches/HEX.lock   held while a `RUN` has it mounted; changed when that was last begun
//! RUN_ROOT/build/ID/  a build's secrets, in memory
//! ```

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use sandbar_engine::{Engine, Roots};
use sandbar_image::{Digest, ImageId};
use sandbar_sys::During;

use crate::error::{Error, Result};

/// The label of containers that `RUN` made: their build.
pub(crate) const LABEL: &str = "sandbar.build";

/// A build's directory.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) id: String,
    path: PathBuf,
    secrets: PathBuf,
    next: Cell<u32>,
    _lock: OwnedFd,
}

impl Workspace {
    /// Clears what killed builds have left, and makes a directory.
    pub(crate) fn open(engine: &Engine) -> Result<Self> {
        let base = base(engine.roots());
        let all = base.join("tmp");
        make_all(&all)?;
        let held = lock(&base.join("lock"), FlockOperation::LockExclusive)?;
        sweep(engine, &all)?;
        let id = random()?;
        let path = all.join(&id);
        make(&path)?;
        let own = lock(&path, FlockOperation::LockExclusive)?;
        drop(held);
        make(&path.join("images"))?;
        let secrets = engine.roots().run_root.join("build").join(&id);
        Ok(Self { id, path, secrets, next: Cell::new(0), _lock: own })
    }

    /// A new directory in it, for its owner alone.
    pub(crate) fn directory(&self) -> Result<PathBuf> {
        let path = self.new_path();
        make(&path)?;
        Ok(path)
    }

    /// A path in it at which nothing is.
    pub(crate) fn new_path(&self) -> PathBuf {
        let number = self.next.get();
        self.next.set(number + 1);
        self.path.join(number.to_string())
    }

    /// Keeps an image, by its digest, from being removed as long as the build goes on. It need not be there yet: what is
    /// held and then looked for stays, what is held only when it was found may be gone.
    pub(crate) fn hold(&self, image: &Digest) -> Result<()> {
        let path = self.path.join("images").join(image.hex());
        std::fs::write(&path, "").during("write", || path.display().to_string())?;
        Ok(())
    }

    /// Where secrets are, made when it is first needed.
    pub(crate) fn secrets(&self) -> Result<&Path> {
        make_all(&self.secrets)?;
        Ok(&self.secrets)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What can't be removed now the next build clears.
        let _removed = std::fs::remove_dir_all(&self.secrets);
        let _removed = std::fs::remove_dir_all(&self.path);
    }
}

/// Where builds have what is theirs.
pub(crate) fn base(roots: &Roots) -> PathBuf {
    roots.root.join("build")
}

/// Whether a build that goes on needs an image.
#[must_use]
pub fn needs_image(roots: &Roots, image: &ImageId) -> bool {
    let name = image.digest().hex();
    let builds = std::fs::read_dir(base(roots).join("tmp")).into_iter().flatten().flatten();
    builds.into_iter().any(|build| {
        let path = build.path();
        path.join("images").join(&name).exists() && is_locked(&path)
    })
}

/// Clears what builds have left that were killed. Nobody else makes a build's directory meanwhile.
fn sweep(engine: &Engine, all: &Path) -> Result<()> {
    let mut living = Vec::new();
    for build in std::fs::read_dir(all).into_iter().flatten().flatten() {
        let id = build.file_name();
        if is_locked(&build.path()) {
            living.extend(id.into_string());
            continue;
        }
        // What can't be removed now keeps nobody from building: the next one tries again.
        let _removed = std::fs::remove_dir_all(engine.roots().run_root.join("build").join(&id));
        let _removed = std::fs::remove_dir_all(build.path());
    }
    for container in engine.containers()? {
        if container.config.labels.get(LABEL).is_some_and(|build| !living.contains(build)) {
            let _removed = engine.remove_container(&container, true);
        }
    }
    Ok(())
}

/// Whether anybody holds the lock of a file or a directory.
pub(crate) fn is_locked(path: &Path) -> bool {
    open(path).is_ok_and(|fd| {
        rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
    })
}

fn open(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(path, flags, Mode::empty())
}

/// Locks a file, which is made if it is missing, or a directory.
pub(crate) fn lock(path: &Path, operation: FlockOperation) -> Result<OwnedFd> {
    loop {
        if let Some(held) = try_lock(path, operation)? {
            return Ok(held);
        }
    }
}

/// The same; none if somebody else has it and `operation` does not wait, or had it and removed the file.
pub(crate) fn try_lock(path: &Path, operation: FlockOperation) -> Result<Option<OwnedFd>> {
    let opened = match open(path) {
        Err(Errno::NOENT) => {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))
        }
        opened => opened,
    };
    let words = || path.display().to_string();
    let fd = opened.during("open", words)?;
    match rustix::io::retry_on_intr(|| rustix::fs::flock(&fd, operation)) {
        Err(Errno::WOULDBLOCK) => return Ok(None),
        locked => locked.during("flock", words)?,
    }
    let held = rustix::fs::fstat(&fd).during("fstat", words)?;
    let is_there =
        rustix::fs::stat(path).is_ok_and(|it| (it.st_dev, it.st_ino) == (held.st_dev, held.st_ino));
    Ok(is_there.then_some(fd))
}

/// Makes a directory for its owner alone.
fn make(path: &Path) -> Result<()> {
    rustix::fs::mkdirat(CWD, path, Mode::RWXU).during("mkdir", || path.display().to_string())?;
    Ok(())
}

/// Makes a directory and those above it, where they are missing.
pub(crate) fn make_all(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .during("mkdir", || path.display().to_string())
        .map_err(Error::from)
}

fn random() -> Result<String> {
    let mut bytes = [0_u8; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .during("getrandom", String::new)?;
    Ok(format!("{:016x}", u64::from_ne_bytes(bytes)))
}
