//! From a name to all that a pull needs to know: one image's manifest, its configuration, and its layers' blobs.

use std::io::Read;

use oci_spec::image::{Descriptor, MediaType};

use super::{ManifestName, Remote};
use crate::choice::choose;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::DOCUMENT;
use crate::manifest::{
    ImageDocument, check_size, compression, diff_ids, digest, is_index, is_known, not_an_image,
    own_type, read_config, read_index, read_manifest,
};
use crate::platform::Platform;
use crate::store::{Store, check};

/// How deep an index may be within others.
const DEPTH: usize = 4;

/// What was found.
pub(super) struct Plan {
    pub(super) manifest: Vec<u8>,
    /// The indexes that led to it.
    pub(super) indexes: Vec<Vec<u8>>,
    pub(super) config: Vec<u8>,
    /// Bottom layer first.
    pub(super) blobs: Vec<Blob>,
}

/// A layer as the registry has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// The digest of the uncompressed stream.
    pub(super) diff_id: Digest,
    /// Whether the manifest says that it is to be had elsewhere; the registry may have it all the same.
    pub(super) foreign: bool,
}

pub(crate) struct Planner<'a> {
    pub(crate) store: &'a Store,
    pub(crate) remote: &'a dyn Remote,
    /// `None`: for this machine.
    pub(crate) platform: Option<&'a Platform>,
}

/// The manifest that a name led to.
pub(super) struct Reached {
    /// The indexes on the way.
    pub(super) indexes: Vec<Vec<u8>>,
    /// What to call it.
    pub(super) what: String,
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: MediaType,
    /// What the last index said that it is for.
    pub(super) platform: Option<Platform>,
}

impl Planner<'_> {
    pub(super) fn plan(&self, name: &ManifestName) -> Result<Plan> {
        let Reached { indexes, what, bytes, media_type, .. } = self.reach(name)?;
        let (config, blobs) = self.image(&what, &bytes, &media_type)?;
        Ok(Plan { manifest: bytes, indexes, config, blobs })
    }

    /// Goes from a name through indexes to a manifest.
    pub(super) fn reach(&self, name: &ManifestName) -> Result<Reached> {
        let (mut indexes, mut platform) = (Vec::new(), None);
        let (mut bytes, mut media_type) = self.named(name)?;
        let mut what = format!("manifest {name}");
        while is_index(&media_type) {
            if indexes.len() == DEPTH {
                return Err(Error::malformed(format!("{what} is an index too deep within others")));
            }
            let index = read_index(&what, &bytes, Some(&media_type))?;
            indexes.push(bytes);
            let host = Platform::host();
            let descriptor = choose(&what, &index, self.platform.unwrap_or(&host))?;
            what = format!("manifest {}", descriptor.digest());
            media_type = descriptor.media_type().clone();
            platform = descriptor.platform().as_ref().map(Platform::of);
            bytes = self.described(&what, descriptor)?;
        }
        Ok(Reached { indexes, what, bytes, media_type, platform })
    }

    /// The manifest or index that was asked for. One that is pinned and here already is not asked for again.
    pub(super) fn named(&self, name: &ManifestName) -> Result<(Vec<u8>, MediaType)> {
        let what = format!("manifest {name}");
        if let ManifestName::Digest(digest) = name
            && let Some(bytes) = self.known(digest)?
        {
            let media_type = own_type(&what, &bytes)?;
            return Ok((bytes, media_type));
        }
        let (bytes, media_type) = ask(self.remote, name)?;
        if let ManifestName::Digest(digest) = name {
            check(&what, Some(*digest), Digest::of(&bytes))?;
        }
        match media_type {
            Some(media_type) => Ok((bytes, media_type)),
            None => own_type(&what, &bytes).map(|media_type| (bytes, media_type)),
        }
    }

    /// The document that a descriptor of an index leads to.
    fn described(&self, what: &str, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let digest = digest(descriptor)?;
        let bytes = match self.known(&digest)? {
            Some(bytes) => bytes,
            None => {
                let (bytes, media_type) = ask(self.remote, &ManifestName::Digest(digest))?;
                match media_type {
                    Some(given) if given != *descriptor.media_type() => {
                        return Err(Error::malformed(format!(
                            "the registry says that {what} is {given}, and what led to it says {}",
                            descriptor.media_type()
                        )));
                    }
                    _ => bytes,
                }
            }
        };
        check_size(what, descriptor, bytes.len() as u64)?;
        check(what, Some(digest), Digest::of(&bytes))?;
        Ok(bytes)
    }

    /// A document that the store has already.
    fn known(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let known = self.store.read_whole(&self.store.blobs, &digest.hex())?;
        Ok(known.filter(|bytes| Digest::of(bytes) == *digest))
    }

    /// An image's configuration and blobs.
    pub(super) fn image(
        &self,
        what: &str,
        bytes: &[u8],
        media_type: &MediaType,
    ) -> Result<(Vec<u8>, Vec<Blob>)> {
        if !is_known(media_type) {
            let message = format!(
                "{what} is of the type {media_type}, which is not supported: needed is an image in \
                 OCI's format or in Docker's schema 2"
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let manifest = match read_manifest(what, bytes, media_type)? {
            ImageDocument::Image(manifest) => manifest,
            ImageDocument::Artifact(of) => return Err(not_an_image(what, &of)),
        };
        let config = self.config(manifest.config())?;
        let parsed = read_config(&config)?;
        if let Some(wanted) = self.platform {
            wanted.require(what, &parsed)?;
        }
        let diff_ids = diff_ids(&parsed)?;
        if diff_ids.len() != manifest.layers().len() {
            return Err(Error::malformed(format!(
                "{what} lists {} layers, and its configuration {}",
                manifest.layers().len(),
                diff_ids.len()
            )));
        }
        let blobs = manifest.layers().iter().zip(diff_ids).map(|(descriptor, diff_id)| {
            compression(descriptor.media_type())?;
            Ok(Blob {
                digest: digest(descriptor)?,
                size: descriptor.size(),
                diff_id,
                foreign: descriptor.urls().as_ref().is_some_and(|urls| !urls.is_empty()),
            })
        });
        Ok((config, blobs.collect::<Result<_>>()?))
    }

    fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let (digest, size) = (digest(descriptor)?, descriptor.size());
        let what = format!("configuration {digest}");
        if size > DOCUMENT {
            let message = format!("{what} has {size} bytes; {DOCUMENT} are allowed");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let bytes = match self.known(&digest)? {
            Some(bytes) => bytes,
            None => {
                let failed = |cause| {
                    let message = format!("the registry did not give {what}");
                    Error::new(ErrorKind::Remote, message).because(cause)
                };
                let blob = self.remote.blob(&digest, size, 0).map_err(failed)?;
                let mut bytes = Vec::new();
                let read = blob.reader.take(size + 1).read_to_end(&mut bytes);
                read.map_err(|e| failed(e.into()))?;
                bytes
            }
        };
        check_size(&what, descriptor, bytes.len() as u64)?;
        check(&what, Some(digest), Digest::of(&bytes))?;
        Ok(bytes)
    }
}

/// Asks a remote for a manifest; gives its type if the remote says one that means something.
pub(crate) fn ask(
    remote: &dyn Remote,
    name: &ManifestName,
) -> Result<(Vec<u8>, Option<MediaType>)> {
    let got = remote.manifest(name).map_err(|cause| {
        let message = format!("the registry did not give manifest {name}");
        Error::new(ErrorKind::Remote, message).because(cause)
    })?;
    if got.bytes.len() as u64 > DOCUMENT {
        let message = format!("manifest {name} has more than {DOCUMENT} bytes");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let said = got.media_type.split(';').next().unwrap_or_default().trim().to_owned();
    let vague = matches!(&*said, "" | "application/json" | "application/octet-stream")
        || said.starts_with("text/plain");
    Ok((got.bytes, (!vague).then(|| MediaType::from(&*said))))
}
