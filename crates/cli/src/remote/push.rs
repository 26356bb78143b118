//! Pushing to registries: a registry's repository as the store wants it.

use sandbar_image::{
    Cause, Compression, Destination, Digest, ErrorKind, Home, ManifestName, OutgoingBlob,
    PushProgress, Pushed, Reference, Store,
};
use sandbar_registry::{Client, Content, Location};

use super::theirs;
use crate::failure::{Doing, Failure, Result as Done};

/// What goes where, and how.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    /// The image's name or id.
    pub(crate) image: &'a str,
    /// Where to, if it is not where the image's name says.
    pub(crate) destination: Option<&'a str>,
    /// How all its layers are to be compressed.
    pub(crate) compression: Option<Compression>,
}

/// Pushes an image.
pub(crate) fn push(
    client: &Client,
    store: &Store,
    order: &Order<'_>,
    progress: &(dyn Fn(PushProgress) + Sync),
) -> Done<Pushed> {
    let image = order.image;
    let name = match order.destination {
        Some(name) => named(image, name)?,
        None => own(store, image)?,
    };
    let action = format!("push {image} to {name}");
    let repository = Repository::new(client, &name).doing(&action)?;
    let pushed = store.push(image, &name, &repository, order.compression, progress);
    pushed.map_err(|error| of_image(store, &action, image, error))
}

/// The failure of an error about an image, which may be none but a manifest list.
fn of_image(store: &Store, action: &str, image: &str, error: sandbar_image::Error) -> Failure {
    let is_list = error.kind() == ErrorKind::NotFound && store.find_list(image).is_ok();
    let failure = Failure::of(action, error);
    match is_list {
        true => failure.hint("it is a manifest list: 'sandbar manifest push' pushes it"),
        false => failure,
    }
}

/// A destination as it was written: a name without a registry is Docker Hub's, as with Docker and Podman.
pub(crate) fn named(what: &str, name: &str) -> Done<Reference> {
    let action = format!("push {what}");
    let bare = name.strip_prefix("docker://").unwrap_or(name);
    let reference = Reference::parse(bare, Home::DockerHub).doing(&action)?;
    not_here(&action, reference)
}

/// Where an image's own name says that it belongs.
fn own(store: &Store, image: &str) -> Done<Reference> {
    let action = format!("push {image}");
    let found = store.find(image).map_err(|error| of_image(store, &action, image, error))?;
    match found.reference {
        Some(reference) => not_here(&action, reference),
        None => Err(Failure::new(format!("cannot {action}: an id does not say where to"))
            .hint(format!("name the destination: sandbar push {image} REGISTRY/REPOSITORY:TAG"))),
    }
}

fn not_here(action: &str, reference: Reference) -> Done<Reference> {
    if reference.registry() == "localhost" {
        let message = format!("cannot {action}: {reference} is of this machine");
        let hint =
            "name a destination, as in registry.example.com/app:1; a registry here has a port";
        return Err(Failure::new(message).hint(hint));
    }
    Ok(reference)
}

/// What an image is pushed to.
pub(crate) struct Repository<'c> {
    client: &'c Client,
    location: Location,
}

impl<'c> Repository<'c> {
    pub(crate) fn new(
        client: &'c Client,
        name: &Reference,
    ) -> Result<Self, sandbar_registry::Error> {
        Ok(Self { client, location: name.to_string().parse()? })
    }
}

impl Destination for Repository<'_> {
    fn has_blob(&self, digest: &Digest, others: &[&str]) -> Result<bool, Cause> {
        Ok(self.client.has_blob(&self.location, theirs(digest)?, others)?.is_some())
    }

    fn put_blob(&self, blob: &OutgoingBlob<'_>) -> Result<(), Cause> {
        let OutgoingBlob { digest, size, open } = *blob;
        let content = Content { digest: theirs(&digest)?, size, also_in: None, open };
        self.client.push_blob(&self.location, &content)?;
        Ok(())
    }

    fn put_manifest(
        &self,
        name: &ManifestName,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<(), Cause> {
        match name {
            // The one that the location has.
            ManifestName::Tag(_) => self.client.push_manifest(&self.location, bytes, media_type)?,
            ManifestName::Digest(digest) => {
                let location = self.location.at(theirs(digest)?);
                self.client.push_manifest(&location, bytes, media_type)?
            }
        };
        Ok(())
    }
}
