//! The values of options: text in, types out, nothing looked up. What is wrong is said in one line.

mod change;
mod compression;
mod cpus;
mod entrypoint;
mod environment;
mod host_entry;
mod image_filter;
mod label;
mod memory;
mod network;
mod network_setting;
mod secret;
mod security;
mod sharing;
mod tmpfs;
mod ulimit;
mod until;
mod volume;

pub(crate) use change::Change;
pub(crate) use compression::Compression;
pub(crate) use cpus::Cpus;
pub(crate) use entrypoint::Entrypoint;
pub(crate) use environment::{Variable, parse_file};
pub(crate) use host_entry::{HostEntry, check_name as check_host_name};
pub(crate) use image_filter::{ImageFilter, is_like};
pub(crate) use label::Label;
pub(crate) use memory::{MemorySwap, PidsLimit};
pub(crate) use network::Network;
pub(crate) use network_setting::NetworkSetting;
pub(crate) use secret::{SecretArgument, SecretFrom};
pub(crate) use security::SecurityOption;
pub(crate) use sharing::Namespace;
pub(crate) use tmpfs::Tmpfs;
pub(crate) use ulimit::UlimitValue;
pub(crate) use until::Until;
pub(crate) use volume::{VolumeArgument, VolumeFrom};

/// A path in a container, which must be absolute and other than `/`.
fn target(
    what: &'static str,
    text: &str,
    path: &str,
) -> Result<std::path::PathBuf, sandbar_spec::Invalid> {
    let wrong = |reason: &str| Err(sandbar_spec::Invalid::new(what, text, reason));
    if !path.starts_with('/') {
        return wrong("the path in the container must be absolute");
    }
    if path.bytes().all(|byte| byte == b'/') {
        return wrong("the container's root directory can't be replaced");
    }
    Ok(path.into())
}
