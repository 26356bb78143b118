//! `sandbar pull`.

use std::path::PathBuf;

use sandbar_image::{Home, Platform, Reference};
use sandbar_registry::{Access, Client, Configuration, ErrorKind, Keyring, Location};

use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::output;
use crate::remote::Repository;

/// Fetch an image from a registry, and print its id
#[derive(Debug, clap::Args)]
pub(crate) struct Pull {
    /// The image of another platform, as in linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    platform: Option<Platform>,
    /// Insist on TLS, or with =false on nothing
    #[arg(
        long,
        value_name = "BOOL",
        hide_possible_values = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    tls_verify: Option<bool>,
    /// Read the registry's credentials from this file
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// The image, as in docker.io/library/nginx:1.27
    image: String,
}

impl Pull {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("pull {}", self.image);
        let configuration = Configuration::load().doing(&action)?;
        let mut access = Access::from_environment().doing(&action)?;
        access.tls_verify = self.tls_verify;
        if let Some(file) = self.authfile {
            access.keyring = Keyring::file(&file);
        }
        let client = Client::new(&configuration, access);
        let locations = client.resolve(&self.image).doing(&action)?;
        let store = context.images()?;
        let mut refused = None;
        for location in locations {
            let name = name_of(&location).doing(&action)?;
            if name.registry() == "localhost" {
                let message = format!("cannot pull {name}: it is of this machine");
                let hint = "'sandbar images' shows what there is; a registry here has a port";
                return Err(Failure::new(message).hint(hint));
            }
            let repository = Repository::new(&client, location);
            match store.pull(&repository, &name, self.platform.as_ref(), &|_progress| {}) {
                Ok(pulled) => {
                    output::line(pulled.id)?;
                    return Ok(Exit::SUCCESS);
                }
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
}

fn name_of(location: &Location) -> std::result::Result<Reference, sandbar_image::Error> {
    Reference::parse(&location.to_string(), Home::DockerHub)
}

/// Whether a registry answered that it has no such image, or none for us.
fn is_not_there(error: &sandbar_image::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<sandbar_registry::Error>() {
            let kind = error.kind();
            return kind == ErrorKind::NotFound || kind == ErrorKind::Unauthorized;
        }
        source = error.source();
    }
    false
}
