//! The way out of the store: what an image is made of, as manifests, archives and registries want it.
//!
//! A layer is kept unpacked, and how its blob was compressed is forgotten. So a manifest that an image came with can go
//! out only where its blobs already are; otherwise layers are packed afresh, the same way each time, and a new manifest
//! is written. The configuration is never touched: the image's id stays.

mod document;
mod known;
mod pack;
mod source;

pub(crate) use document::{Dialect, Part, manifest};
pub(crate) use known::{Known, KnownBlobs};
pub(crate) use pack::pack;
pub(crate) use source::Source;
