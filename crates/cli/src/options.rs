//! The options that commands share, by what they are about; those of `run`, `create` and `exec` with the step that
//! resolves them into the engine's own: relative paths, the caller's variables and files are looked up there, through
//! [`Surroundings`].

mod container;
mod exposing;
mod life;
mod membership;
mod namespaces;
mod process;
mod publishing;
mod pulling;
mod registry;
mod resources;
mod security;
mod storage;
mod surroundings;

pub(crate) use container::ContainerArguments;
pub(crate) use exposing::Exposing;
pub(crate) use life::Life;
pub(crate) use membership::{Addressing, check_alias, sort};
pub(crate) use namespaces::{Joining, addressing};
pub(crate) use process::{Process, environment, working_directory};
pub(crate) use publishing::Publishing;
pub(crate) use pulling::Pulling;
pub(crate) use registry::{AuthFile, RegistryAccess};
pub(crate) use resources::Resources;
pub(crate) use security::Security;
pub(crate) use storage::Storage;
pub(crate) use surroundings::Surroundings;
