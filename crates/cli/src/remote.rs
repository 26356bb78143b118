//! A repository of a registry, as the store pulls from it.

use sandbar_image::{Cause, Digest, ManifestName, Remote, RemoteBlob, RemoteManifest};
use sandbar_registry::{Client, Location};

/// What an image is pulled from.
pub(crate) struct Repository<'c> {
    client: &'c Client,
    location: Location,
}

impl<'c> Repository<'c> {
    pub(crate) fn new(client: &'c Client, location: Location) -> Self {
        Self { client, location }
    }
}

impl Remote for Repository<'_> {
    fn manifest(&self, which: &ManifestName) -> Result<RemoteManifest, Cause> {
        let manifest = match which {
            // The one that the location names.
            ManifestName::Tag(_) => self.client.manifest(&self.location)?,
            ManifestName::Digest(digest) => {
                self.client.manifest(&self.location.at(theirs(digest)?))?
            }
        };
        Ok(RemoteManifest { bytes: manifest.bytes, media_type: manifest.media_type })
    }

    fn blob(&self, digest: &Digest, size: u64, from: u64) -> Result<RemoteBlob<'_>, Cause> {
        let blob = self.client.blob(&self.location, theirs(digest)?, size, from)?;
        Ok(RemoteBlob { from: blob.begins_at(), reader: Box::new(blob) })
    }
}

fn theirs(digest: &Digest) -> Result<sandbar_registry::Digest, sandbar_registry::Error> {
    digest.to_string().parse()
}
