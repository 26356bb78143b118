//! `sandbar manifest inspect`.

use sandbar_image::ErrorKind;

use super::failed;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::options::RegistryAccess;
use crate::output;
use crate::remote::members::served;

/// Show a manifest list as an index, or what a registry has
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    #[command(flatten)]
    registry: RegistryAccess,
    /// The list, or the name of an image in a registry
    list: String,
}

impl Inspect {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("show the manifest list {}", self.list);
        let bytes = match context.images()?.find_list(&self.list) {
            Ok(list) => list.index().doing(&action)?,
            Err(error) if error.kind() == ErrorKind::NotFound && names_a_registry(&self.list) => {
                let client = self.registry.client(&action)?;
                served(&client, &self.list)?
            }
            Err(error) => return Err(failed(&action, error)),
        };
        output::json(&serde_json::from_slice(&bytes).doing(action)?)?;
        Ok(Exit::SUCCESS)
    }
}

/// Whether a name says where it is. A short one is a list here that is not there.
fn names_a_registry(name: &str) -> bool {
    name.strip_prefix("docker://").unwrap_or(name).split_once('/').is_some_and(|(first, _)| {
        first != "localhost" && first.contains(['.', ':']) || first.starts_with("localhost:")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_a_host_with_a_dot_or_a_port() {
        for name in ["docker.io/library/a", "docker://h.io/a", "localhost:5000/a", "[::1]:5000/a"] {
            assert!(names_a_registry(name), "{name}");
        }
        for name in ["a", "a:1", "me/a", "localhost/a", "docker://a", "a.b:1"] {
            assert!(!names_a_registry(name), "{name}");
        }
    }
}
