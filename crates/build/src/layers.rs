//! A stage's layers so far: an image of them alone, to be read, written above, and made into the next.

use std::path::{Path, PathBuf};

use rustix::mount::{MountPropagationFlags, mount_change};
use sandbar_image::{Changes, Digest, ImageId, Store};
use sandbar_sys::{During, Namespaces, Overlay};
use serde_json::json;

use crate::canvas::Canvas;
use crate::error::{Error, Kind, Result};
use crate::tree::Tree;
use crate::workspace::Workspace;

/// The layers, bottom first, and the image that has just them; none for no layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layers {
    pub(crate) image: Option<ImageId>,
    pub(crate) digests: Vec<Digest>,
}

impl Layers {
    /// Those of an image, which stays as long as the build goes on.
    pub(crate) fn of(image: &ImageId, store: &Store, work: &Workspace) -> Result<Self> {
        work.hold(image.digest())?;
        let found = store.find(&image.to_string())?;
        let digests = found.config.rootfs().diff_ids().iter().map(|digest| digest.parse());
        let digests = digests.collect::<sandbar_image::Result<_>>()?;
        Ok(Self { image: Some(*image), digests })
    }

    /// Their directories, the top one first.
    fn directories(&self, store: &Store) -> Result<Vec<PathBuf>> {
        match &self.image {
            Some(image) => Ok(store.find(&image.to_string())?.layers),
            None => Ok(Vec::new()),
        }
    }

    /// Their files, to be read.
    pub(crate) fn tree(&self, store: &Store, work: &Workspace) -> Result<Tree> {
        let mut lower = self.directories(store)?;
        // Without an upper directory overlayfs wants two.
        while lower.len() < 2 {
            lower.push(work.directory()?);
        }
        let root = detached(&lower, None, &work.directory()?)?;
        Ok(Tree::new(root))
    }

    /// Their files, to be written above.
    pub(crate) fn canvas(&self, store: &Store, work: &Workspace) -> Result<Canvas> {
        let lower = self.directories(store)?;
        let upper = upper(work)?;
        if lower.is_empty() {
            return Canvas::plain(&upper);
        }
        let scratch = work.directory()?;
        let root = detached(&lower, Some((&upper, &scratch)), &work.directory()?)?;
        Ok(Canvas::new(root, upper))
    }

    /// These layers and, above them, what was changed, if anything was.
    pub(crate) fn with(&self, changes: &Changes, store: &Store, work: &Workspace) -> Result<Self> {
        if changes.is_empty()? {
            return Ok(self.clone());
        }
        let configure = |layers: &[Digest]| {
            let config = json!({
                "architecture": sandbar_image::Platform::host().architecture(),
                "os": "linux",
                "config": {},
                // So that what is old can be told from what is not, and removed.
                "created": jiff::Timestamp::now(),
                "rootfs": { "type": "layers", "diff_ids": layers },
            });
            let config = config.to_string().into_bytes();
            // Before it is there, and so before anybody can remove it.
            work.hold(&Digest::of(&config)).map_err(sandbar_image::Error::given_up)?;
            Ok(config)
        };
        let image = store.extend(self.image.as_ref(), Some(changes), configure, None)?;
        Self::of(&image, store, work)
    }
}

/// An empty directory to be a layer: its mode is what a user in the image meets at `/`.
pub(crate) fn upper(work: &Workspace) -> Result<PathBuf> {
    let upper = work.directory()?;
    rustix::fs::chmod(&upper, rustix::fs::Mode::from_raw_mode(0o755))
        .during("chmod", || upper.display().to_string())?;
    Ok(upper)
}

/// A detached overlay. Should it need to be mounted for a moment, then where nobody else sees it.
fn detached(
    lower: &[PathBuf],
    upper: Option<(&Path, &Path)>,
    place: &Path,
) -> Result<std::os::fd::OwnedFd> {
    let mount = || -> Result<_> {
        sandbar_sys::unshare(Namespaces::NEWNS)
            .during("unshare", || "a mount namespace".to_owned())?;
        let kept = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change("/", kept).during("mount", || "/ as a slave".to_owned())?;
        // What is written is read again at once, and synced as the layer that it becomes.
        Ok(Overlay { lower, upper, volatile: upper.is_some() }.detached(place)?)
    };
    std::thread::scope(|scope| scope.spawn(mount).join())
        .unwrap_or_else(|_panicked| Err(Error::new(Kind::System, "a thread that mounts ended")))
}
