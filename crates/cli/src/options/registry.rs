//! The options of whatever speaks to registries.

use std::path::PathBuf;

use sandbar_registry::{Access, Client, Configuration, Keyring};

use crate::failure::{Doing, Failure, Result};

/// How registries are spoken to.
#[derive(Debug, Default, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct RegistryAccess {
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
    #[command(flatten)]
    authfile: AuthFile,
}

/// Where the credentials are.
#[derive(Debug, Default, Clone, PartialEq, Eq, clap::Args)]
pub(crate) struct AuthFile {
    /// Where the registries' credentials are
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
}

impl RegistryAccess {
    /// A client as the options, the environment and the configuration on disk say; `action` is what it is for.
    pub(crate) fn client(&self, action: &str) -> Result<Client> {
        if let Some(file) = self.authfile.authfile.as_deref().filter(|file| !file.exists()) {
            let message = format!("cannot {action}: --authfile {} is not there", file.display());
            return Err(Failure::new(message).hint("'sandbar login --authfile' makes one"));
        }
        self.client_to_log_in(action)
    }

    /// As [`RegistryAccess::client`], where the file of credentials is yet to be made.
    pub(crate) fn client_to_log_in(&self, action: &str) -> Result<Client> {
        let configuration = Configuration::load().doing(action)?;
        let mut access = Access::from_environment().doing(action)?;
        access.tls_verify = self.tls_verify;
        access.keyring = self.authfile.keyring();
        access.patience = configuration.patience();
        Ok(Client::new(&configuration, access))
    }

    /// Where credentials are.
    pub(crate) fn keyring(&self) -> Keyring {
        self.authfile.keyring()
    }
}

impl AuthFile {
    /// The file, or all that the environment tells of.
    pub(crate) fn keyring(&self) -> Keyring {
        match &self.authfile {
            Some(file) => Keyring::file(file),
            None => Keyring::from_environment(),
        }
    }
}
