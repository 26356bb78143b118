//! What `inspect` shows, in Docker's and Podman's words: their tools read it.

mod config;
mod container;
mod host_config;
mod image;
mod mounts;
mod network;
mod pod;
mod ports;
#[cfg(test)]
pub(crate) mod sample;

pub(crate) use container::container;
pub(crate) use image::image;
pub(crate) use network::network;
pub(crate) use pod::pod;
