//! What a name leads to, without pulling it.

use super::plan::Planner;
use super::{ManifestName, Reached};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::is_index;
use crate::manifest::{DOCKER_MANIFEST, digest, read_config, read_index};
use crate::platform::Platform;
use oci_spec::image::{Descriptor, MediaType};

/// A manifest that a remote has.
pub(crate) struct Manifest {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) media_type: String,
    pub(crate) platform: Platform,
}

impl Planner<'_> {
    /// The one manifest that a name leads to, of an index that for the planner's platform.
    pub(crate) fn one(&self, name: &ManifestName) -> Result<Manifest> {
        let Reached { what, bytes, media_type, platform, .. } = self.reach(name)?;
        let (config, _) = self.image(&what, &bytes, &media_type)?;
        let said = Platform::of_config(&read_config(&config)?);
        Ok(Manifest {
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
            media_type: media_type.to_string(),
            platform: platform.unwrap_or(said),
        })
    }

    /// All images of an index, as it describes them. What is no image, such as what builders attach to one, is left out.
    pub(crate) fn all(&self, name: &ManifestName) -> Result<Vec<Manifest>> {
        let (bytes, media_type) = self.named(name)?;
        if !is_index(&media_type) {
            return Ok(vec![self.one(name)?]);
        }
        let what = format!("manifest {name}");
        let index = read_index(&what, &bytes, Some(&media_type))?;
        let all: Vec<_> = index.manifests().iter().filter_map(described).collect::<Result<_>>()?;
        match all.is_empty() {
            false => Ok(all),
            true => {
                let message = format!("{what} is an index without any image");
                Err(Error::new(ErrorKind::Unsupported, message))
            }
        }
    }
}

fn described(descriptor: &Descriptor) -> Option<Result<Manifest>> {
    let media_type = descriptor.media_type();
    let is_manifest =
        *media_type == MediaType::ImageManifest || media_type.as_ref() == DOCKER_MANIFEST;
    let platform = descriptor.platform().as_ref().map(Platform::of)?;
    if !is_manifest || platform.os() == "unknown" {
        return None;
    }
    Some(digest(descriptor).map(|digest| Manifest {
        digest,
        size: descriptor.size(),
        media_type: media_type.to_string(),
        platform,
    }))
}
