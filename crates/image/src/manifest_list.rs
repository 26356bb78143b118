//! Manifest lists: one name for images of several platforms, put together here and pushed as an index
//! ([image index](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md)).
//!
//! A member is an image of the store, or a manifest in some registry, of which nothing but its descriptor is here.

mod copy;
mod member;
mod push;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, ImageId};
use crate::error::Result;
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::encode;
pub(crate) use member::sound;
pub use push::{ListPush, RemoteOf};

/// An index's type.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A manifest list of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestList {
    /// Its name.
    pub name: Reference,
    /// In the order in which they were added.
    pub members: Vec<Member>,
}

/// A manifest in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The manifest's digest. That of an image here may be another after a push, if its layers must be packed afresh.
    pub digest: Digest,
    /// Bytes in the manifest.
    pub size: u64,
    /// The manifest's type.
    pub media_type: String,
    /// What it is for.
    pub platform: Platform,
    /// The image of the store, if it is one.
    pub image: Option<ImageId>,
    /// Where the manifest is, if it is elsewhere.
    pub from: Option<Reference>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    media_type: &'a str,
    digest: Digest,
    size: u64,
    platform: EntryPlatform<'a>,
}

#[derive(Serialize)]
struct EntryPlatform<'a> {
    architecture: &'a str,
    os: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
}

impl ManifestList {
    /// The index that it is, as bytes.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn index(&self) -> Result<Vec<u8>> {
        encode(&Index {
            schema_version: 2,
            media_type: INDEX,
            manifests: self.members.iter().map(Member::entry).collect(),
        })
    }

    /// Adds members, in place of those of the same digest.
    pub(crate) fn add(&mut self, members: Vec<Member>) {
        for member in members {
            match self.members.iter_mut().find(|known| known.digest == member.digest) {
                Some(known) => *known = member,
                None => self.members.push(member),
            }
        }
    }
}

impl Member {
    fn entry(&self) -> Entry<'_> {
        let platform = &self.platform;
        Entry {
            media_type: &self.media_type,
            digest: self.digest,
            size: self.size,
            platform: EntryPlatform {
                architecture: platform.architecture(),
                os: platform.os(),
                variant: platform.variant(),
            },
        }
    }
}
