//! The options of whatever speaks to registries.

use std::path::PathBuf;

use sandbar_registry::{Access, Client, Configuration, Keyring};

use crate::failure::{Doing, Result};

/// How registries are spoken to.
#[derive(Debug, Default, Clone, clap::Args)]
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
    /// Read the registry's credentials from this file
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
}

impl RegistryAccess {
    /// A client as the options, the environment and the configuration on disk say; `action` is what it is for.
    pub(crate) fn client(&self, action: &str) -> Result<Client> {
        let configuration = Configuration::load().doing(action)?;
        let mut access = Access::from_environment().doing(action)?;
        access.tls_verify = self.tls_verify;
        if let Some(file) = &self.authfile {
            access.keyring = Keyring::file(file);
        }
        Ok(Client::new(&configuration, access))
    }
}
