//! Pulling an image from somewhere else.
//!
//! A name leads to a manifest, perhaps through indexes, and that to a configuration and to blobs, all by digest. Each
//! layer's blob goes to a file in `partial` and, at the same time, through a pipe of bounded length to a thread that
//! unpacks it. When it is whole and right it is put in its place, and held there (`flock`) until the image that needs it
//! is on record.

mod describe;
mod download;
mod layers;
mod partial;
mod pipe;
mod plan;
mod progress;
mod remote;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

pub(crate) use describe::Manifest;
pub(crate) use plan::{Planner, ask};
pub use progress::Progress;
pub use remote::{Cause, ManifestName, Remote, RemoteBlob, RemoteManifest};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::Budget;
use crate::load::Loaded;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::{NewImage, NewLayer, Staging, Store};
use plan::{Blob, Plan, Reached};

/// What all threads of one pull share.
struct Pull<'a> {
    store: &'a Store,
    remote: &'a dyn Remote,
    progress: &'a (dyn Fn(Progress) + Sync),
    staging: Staging,
    budget: Budget,
    /// Held by the one that unpacks what needs much memory to be unpacked.
    large: Mutex<()>,
    /// One has failed: the others need not go on.
    stop: AtomicBool,
}

impl Store {
    /// Pulls the image `name` of a remote, and gives it that name here.
    ///
    /// Of an index the image for `platform` is taken, or else for this machine; an image that is in no index may be for
    /// another architecture unless a platform was asked for. Layers that are here already are not downloaded, and
    /// with all of them here it takes one request. What was downloaded of a blob when a pull ended early is where
    /// the next one goes on; a day later it is removed.
    ///
    /// # Errors
    /// [`ErrorKind::Remote`], with the remote's error as its source; [`ErrorKind::Unsupported`] for artifacts and missing
    /// platforms; [`ErrorKind::Malformed`], [`ErrorKind::Mismatch`], [`ErrorKind::TooLarge`], [`ErrorKind::Io`],
    /// [`ErrorKind::Busy`]. No image is then changed. When the disk was full, what the pull wrote is gone again.
    pub fn pull(
        &self,
        remote: &dyn Remote,
        name: &Reference,
        platform: Option<&Platform>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Loaded> {
        let which = match (name.digest(), name.tag()) {
            (Some(digest), _) => ManifestName::Digest(digest),
            (None, tag) => ManifestName::Tag(tag.unwrap_or("latest").to_owned()),
        };
        let plan = Planner { store: self, remote, platform }.plan(&which)?;
        self.sweep_partials()?;
        let pull = Pull {
            store: self,
            remote,
            progress,
            staging: Staging::new(self)?,
            budget: Budget::new(self.limits.unpacked_bytes),
            large: Mutex::default(),
            stop: AtomicBool::new(false),
        };
        let pulled = pull.run(plan, name);
        if pulled.as_ref().is_err_and(Error::is_no_space) {
            drop(pull);
            self.make_room();
        }
        pulled
    }

    /// Removes what no image needs. Nobody is told if it fails: the full disk was reason enough to fail.
    fn make_room(&self) {
        let _ = self.remove_partials(|_| true);
        if let Ok(lock) = self.lock_exclusive()
            && let Ok(trash) = Staging::new(self)
        {
            let _ = self.collect(&trash);
            drop(lock);
        }
    }
}

impl Pull<'_> {
    fn run(&self, plan: Plan, name: &Reference) -> Result<Loaded> {
        let mut held = Vec::new();
        let missing = self.missing(&plan.blobs, &mut held)?;
        held.extend(self.bring(&missing)?);
        let layer = |blob: &Blob| NewLayer { diff_id: blob.diff_id, blob: None, digest: None };
        let references = vec![name.clone()];
        let image = NewImage {
            layers: plan.blobs.iter().map(layer).collect(),
            config: plan.config,
            manifest: Some(plan.manifest),
            references: references.clone(),
        };
        let _lock = self.store.lock_shared()?;
        let id = self.store.publish(&self.staging, &image)?;
        for index in &plan.indexes {
            self.store.describe(&self.staging, index, &id)?;
        }
        Ok(Loaded { id, references })
    }

    /// Holds the layers that are here; gives the others, none twice.
    fn missing(&self, blobs: &[Blob], held: &mut Vec<std::os::fd::OwnedFd>) -> Result<Vec<Blob>> {
        let (mut missing, mut seen) = (Vec::new(), BTreeSet::new());
        let mut bytes = 0_u64;
        for blob in blobs.iter().filter(|blob| seen.insert(blob.diff_id)) {
            let layer = self.store.hold_whole_layer(&blob.diff_id)?;
            let Blob { digest, size, .. } = *blob;
            (self.progress)(Progress::Layer { digest, size, here: layer.is_some() });
            match layer {
                Some(layer) => held.push(layer),
                None => {
                    bytes = bytes.saturating_add(size);
                    missing.push(*blob);
                }
            }
        }
        match bytes <= self.store.limits.unpacked_bytes {
            true => Ok(missing),
            false => {
                let message = format!("the image's layers have {bytes} bytes, which is too many");
                Err(Error::new(ErrorKind::TooLarge, message))
            }
        }
    }
}

/// The error of what ends because something else of the same pull has failed, which is the one that is told.
fn stopped() -> Error {
    Error::new(ErrorKind::Busy, "another part of the pull has failed")
}
