//! What an image's name means in a manifest list: an image here, or what a registry has.

use sandbar_image::{ErrorKind, Home, Member, Platform, Reference, Remote, Store};
use sandbar_registry::{Client, Location};

use super::{Repository, is_not_there};
use crate::failure::{Doing, Failure, Result as Done};

/// Which of several platforms is meant.
#[derive(Debug, Default, Clone)]
pub(crate) struct Choice<'a> {
    pub(crate) os: Option<&'a str>,
    pub(crate) architecture: Option<&'a str>,
    pub(crate) variant: Option<&'a str>,
    /// All that there are.
    pub(crate) all: bool,
}

impl Choice<'_> {
    fn of(&self, platform: &Platform) -> Platform {
        platform.with(self.os, self.architecture, self.variant)
    }

    /// For what, if that was said.
    fn platform(&self) -> Option<Platform> {
        let said = self.os.is_some() || self.architecture.is_some() || self.variant.is_some();
        said.then(|| self.of(&Platform::host()))
    }
}

/// The members that `image` stands for: one, or all of an index.
pub(crate) fn members(
    client: &Client,
    store: &Store,
    image: &str,
    choice: &Choice<'_>,
) -> Done<Vec<Member>> {
    if let Some(member) = local(store, image, choice)? {
        return Ok(vec![member]);
    }
    let action = format!("look up {image}");
    let platform = choice.platform();
    let mut refused = None;
    for location in client.resolve(bare(image)).doing(&action)? {
        let name = Reference::parse(&location.to_string(), Home::DockerHub).doing(&action)?;
        if name.registry() == "localhost" {
            let hint = "'sandbar images' shows what there is; a registry here has a port";
            return Err(
                Failure::new(format!("cannot {action}: there is no image {name}")).hint(hint)
            );
        }
        let remote = Repository { client, location };
        match store.remote_members(&remote, &name, platform.as_ref(), choice.all) {
            Ok(members) => return Ok(members),
            Err(error) if is_not_there(&error) => refused = Some(error),
            Err(error) => return Err(Failure::of(action, error)),
        }
    }
    match refused {
        Some(error) => Err(Failure::of(action, error)),
        None => Err(Failure::new(format!("cannot {action}: no registry is searched for it"))
            .hint("name it in full, as in docker.io/library/nginx")),
    }
}

/// The manifest or index that a registry has under a name, as it is served.
pub(crate) fn served(client: &Client, name: &str) -> Done<Vec<u8>> {
    let action = format!("look up {name}");
    let location = bare(name).parse::<Location>().doing(&action)?;
    Ok(client.manifest(&location).doing(action)?.bytes)
}

/// The image of the store, if it is the one that is meant. What is of this machine alone is meant whatever it is for,
/// and then taken for what was said.
fn local(store: &Store, image: &str, choice: &Choice<'_>) -> Done<Option<Member>> {
    let action = format!("look for {image}");
    if bare(image) != image {
        return Ok(None);
    }
    let found = match store.find(image) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::of(action, error)),
    };
    let is_ours = found.reference.as_ref().is_none_or(|name| name.registry() == "localhost");
    let platform = choice.of(&found.platform());
    if !is_ours && (choice.all || platform != found.platform()) {
        return Ok(None);
    }
    // Not held any longer: what follows may take its time.
    drop(found);
    let member = store.member(image).doing(action)?;
    Ok(Some(Member { platform, ..member }))
}

/// A name without what says that it is in a registry.
fn bare(image: &str) -> &str {
    image.strip_prefix("docker://").unwrap_or(image)
}

/// Where a member is that is not in the store.
pub(crate) fn remote_of<'c>(
    client: &'c Client,
    name: &Reference,
) -> Result<Box<dyn Remote + 'c>, sandbar_image::Cause> {
    Ok(Box::new(Repository { client, location: name.to_string().parse::<Location>()? }))
}
