//! Pushing an image somewhere else: blobs first, then the manifest that names them.
//!
//! A manifest that the image came with is pushed as it is if the destination has its blobs, or can have them from
//! another of its repositories. Otherwise each layer is one of the blobs that it is known as, if the destination has it,
//! and else packed afresh into a file in the store's `tmp`, and sent. The manifest that is then made is kept, so that
//! the next push of the image need not pack again. Packing is the same each time: what a push that broke off has sent is
//! there for the next.

mod destination;
mod layers;
mod progress;
mod side_by_side;

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

pub use destination::{Destination, OutgoingBlob};
pub use progress::PushProgress;

use crate::compression::Compression;
use crate::digest::{Digest, ImageId};
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Dialect, Known, KnownBlobs, Source, manifest};
use crate::pull::{Cause, ManifestName};
use crate::reference::Reference;
use crate::store::{Staging, Store};
pub(crate) use side_by_side::side_by_side;

/// What a push came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The image.
    pub id: ImageId,
    /// The digest of its manifest there.
    pub digest: Digest,
    /// Bytes in the manifest.
    pub size: u64,
    /// The manifest's type.
    pub media_type: String,
}

/// What all threads of one push share.
pub(crate) struct Push<'a> {
    store: &'a Store,
    to: &'a Reference,
    pub(crate) destination: &'a dyn Destination,
    /// How layers must be compressed; `None` is as it comes, and gzip for what is packed.
    compression: Option<Compression>,
    progress: &'a (dyn Fn(PushProgress) + Sync),
    staging: Staging,
    blobs: KnownBlobs,
    /// One has failed: the others need not go on.
    pub(crate) stop: AtomicBool,
    /// What could not be read here.
    unreadable: Mutex<Option<Error>>,
}

impl Store {
    /// Pushes the image called `image` (by name or id) to `destination`, and gives it the name `to` there.
    ///
    /// With a `compression`, all its layers are so; without one, what is there already may be otherwise. If `to` has a
    /// digest, nothing but the manifest of that digest is pushed.
    ///
    /// # Errors
    /// As [`Store::find`]; [`ErrorKind::Remote`], with the destination's error as its source;
    /// [`ErrorKind::Unsupported`] if a layer that must be sent was unpacked by a version that kept no recipe, or if `to` has
    /// the digest of a manifest whose blobs are not there; [`ErrorKind::Corrupt`]; [`ErrorKind::Io`].
    pub fn push(
        &self,
        image: &str,
        to: &Reference,
        destination: &dyn Destination,
        compression: Option<Compression>,
        progress: &(dyn Fn(PushProgress) + Sync),
    ) -> Result<Pushed> {
        let source = self.source(image)?;
        let name = match (to.digest(), to.tag()) {
            (Some(digest), _) => ManifestName::Digest(digest),
            (None, tag) => ManifestName::Tag(tag.unwrap_or("latest").to_owned()),
        };
        // What was asked for by its digest comes first.
        let first = source.reference.as_ref().and_then(Reference::digest);
        let push = Push::new(self, to, destination, compression, progress)?;
        push.run(&source, first, Some(&name))
    }
}

impl<'a> Push<'a> {
    pub(crate) fn new(
        store: &'a Store,
        to: &'a Reference,
        destination: &'a dyn Destination,
        compression: Option<Compression>,
        progress: &'a (dyn Fn(PushProgress) + Sync),
    ) -> Result<Self> {
        Ok(Self {
            store,
            to,
            destination,
            compression,
            progress,
            staging: Staging::new(store)?,
            blobs: store.known_blobs(to.registry())?,
            stop: AtomicBool::new(false),
            unreadable: Mutex::new(None),
        })
    }

    /// Pushes an image, under its manifest's digest if it is given no name. The manifest `first` is tried first.
    pub(crate) fn run(
        &self,
        source: &Source,
        first: Option<Digest>,
        name: Option<&ManifestName>,
    ) -> Result<Pushed> {
        let mut known = self.store.known(Some(&source.id))?;
        known.sort_by_key(|known| Some(known.digest) != first);
        for known in &known {
            if self.may_be(known, name) && self.has_all_of(known)? {
                self.put_config(&source.config)?;
                return self.finish(source, name, &known.bytes, &known.media_type);
            }
        }
        if let Some(ManifestName::Digest(digest)) = name {
            let message = format!(
                "{digest} can't be pushed: it is no manifest of this image whose layers are there as \
                 they were, and packed afresh they have another"
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let mut distinct = source.diff_ids.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let parts = side_by_side(&distinct, &self.stop, |diff_id| self.layer(diff_id))?;
        let parts: BTreeMap<_, _> = distinct.into_iter().zip(parts).collect();
        let layers: Vec<_> =
            source.diff_ids.iter().filter_map(|it| parts.get(it)).copied().collect();
        let annotations = known.first().map(|known| known.annotations.clone()).unwrap_or_default();
        let bytes = manifest(Dialect::Oci, &source.config, &layers, &annotations)?;
        self.put_config(&source.config)?;
        self.finish(source, name, &bytes, Dialect::Oci.manifest())
    }

    /// Whether a manifest is what was asked for.
    fn may_be(&self, known: &Known, name: Option<&ManifestName>) -> bool {
        let is_it = match name {
            Some(ManifestName::Digest(digest)) => *digest == known.digest,
            Some(ManifestName::Tag(_)) | None => true,
        };
        is_it
            && self.compression.is_none_or(|compression| {
                known.layers.iter().all(|(_, part)| part.compression == compression)
            })
    }

    /// Whether the destination has all layers of a manifest.
    fn has_all_of(&self, known: &Known) -> Result<bool> {
        for (diff_id, part) in &known.layers {
            if !self.has(diff_id, part)? {
                return Ok(false);
            }
        }
        for (diff_id, _) in &known.layers {
            (self.progress)(PushProgress::Present { layer: *diff_id });
        }
        Ok(true)
    }

    fn put_config(&self, config: &[u8]) -> Result<()> {
        let digest = Digest::of(config);
        let open = || Ok(Box::new(config) as Box<dyn Read>);
        let blob = OutgoingBlob { digest, size: config.len() as u64, open: &open };
        self.destination.put_blob(&blob).map_err(|cause| {
            refused(format!("the registry did not take configuration {digest}"), cause)
        })
    }

    fn finish(
        &self,
        source: &Source,
        name: Option<&ManifestName>,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<Pushed> {
        let digest = Digest::of(bytes);
        self.put_manifest(name.unwrap_or(&ManifestName::Digest(digest)), bytes, media_type)?;
        // It is there. What can't be kept here costs the next push some time, no more.
        let _ = self.store.keep_manifest(&self.staging, &source.id, bytes, Some(self.to));
        Ok(Pushed {
            id: source.id,
            digest,
            size: bytes.len() as u64,
            media_type: media_type.to_owned(),
        })
    }

    pub(crate) fn put_manifest(
        &self,
        name: &ManifestName,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<()> {
        self.destination
            .put_manifest(name, bytes, media_type)
            .map_err(|cause| refused(format!("the registry did not take manifest {name}"), cause))
    }
}

pub(crate) fn refused(message: String, cause: Cause) -> Error {
    Error::new(ErrorKind::Remote, message).because(cause)
}
