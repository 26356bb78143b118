//! Pulling from registries: where a name leads, and a registry's repository as the store wants it.

pub(crate) mod members;
pub(crate) mod push;

use sandbar_image::{
    Cause, Digest, Home, Loaded, ManifestName, Platform, Progress, Reference, Remote, RemoteBlob,
    RemoteManifest, Store,
};
use sandbar_registry::{Client, ErrorKind, Location};

use crate::failure::{Doing, Failure, Result as Done, of_registry};

/// Pulls `image`, from the first of the places that its name may mean and that has it.
pub(crate) fn pull(
    client: &Client,
    store: &Store,
    image: &str,
    platform: Option<&Platform>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Done<Loaded> {
    let action = format!("pull {image}");
    if is_id(image) {
        let message = format!("cannot {action}: that is an id, which no registry knows");
        return Err(Failure::new(message).hint("give its name, as in docker.io/library/nginx"));
    }
    let mut refused = None;
    for location in client.resolve(image).doing(&action)? {
        let name = Reference::parse(&location.to_string(), Home::DockerHub).doing(&action)?;
        if name.registry() == "localhost" {
            let message = format!("cannot pull {name}: it is of this machine");
            let hint = "'sandbar images' shows what there is; a registry here has a port";
            return Err(Failure::new(message).hint(hint));
        }
        let repository = Repository { client, location };
        match store.pull(&repository, &name, platform, progress) {
            Ok(pulled) => return Ok(pulled),
            // A short name may be meant elsewhere.
            Err(error) if is_not_there(&error) => refused = Some(error),
            Err(error) => return Err(Failure::of(format!("pull {name}"), error)),
        }
    }
    match refused {
        Some(error) => Err(Failure::of(action, error)),
        None => Err(Failure::new(format!("cannot {action}: no registry is searched for it"))
            .hint("name it in full, as in docker.io/library/nginx")),
    }
}

/// Whether a name can be nothing but an image's id, which no registry knows.
pub(crate) fn is_id(name: &str) -> bool {
    let hex = name.strip_prefix("sha256:");
    let whole = name.len() == 64 && name.bytes().all(|c| c.is_ascii_hexdigit());
    whole || hex.is_some_and(|hex| hex.bytes().all(|c| c.is_ascii_hexdigit()))
}

/// Whether a registry answered that it has no such image, or none for us.
fn is_not_there(error: &sandbar_image::Error) -> bool {
    of_registry(error)
        .is_some_and(|error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unauthorized))
}

/// What an image is pulled from.
struct Repository<'c> {
    client: &'c Client,
    location: Location,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_names() {
        assert!(is_id(&"ab".repeat(32)) && is_id("sha256:abc"));
        assert!(!is_id("abc") && !is_id("deadbeef:1") && !is_id("localhost/sha256"));
    }
}
