//! `sandbar logout`.

use super::login::registry;
use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};
use crate::options::AuthFile;
use crate::output;

/// Forget what proves to registries who you are
#[derive(Debug, clap::Args)]
pub(crate) struct Logout {
    /// All registries
    #[arg(short, long, conflicts_with = "name")]
    all: bool,
    #[command(flatten)]
    authfile: AuthFile,
    /// The registry, or the part of it that was logged in to
    #[arg(value_name = "REGISTRY")]
    name: Option<String>,
}

impl Logout {
    pub(crate) fn execute(self) -> Result<Exit> {
        let keyring = self.authfile.keyring();
        if self.all {
            let (erased, file) = keyring.erase_all().doing("log out of all registries")?;
            let file = file.display();
            output::line(format_args!("Removed {erased} login credentials from {file}"))?;
            return Ok(Exit::SUCCESS);
        }
        let key = registry(self.name.as_deref())?;
        if !keyring.erase(&key).doing(format_args!("log out of {key}"))? {
            return Err(Failure::new(format!("cannot log out of {key}: nobody is logged in"))
                .hint("credentials are for just the name that was logged in to"));
        }
        output::line(format_args!("Removed login credentials for {key}"))?;
        Ok(Exit::SUCCESS)
    }
}
