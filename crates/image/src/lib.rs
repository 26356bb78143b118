//! Container images: references, a content store, unpacking; archives and directories that are loaded into it, and
//! images that are pulled from a [`Remote`]; and the way out again, to archives and to a [`Destination`].
//!
//! A [`Store`] is a directory. In it an image is a configuration (whose digest is the image's id) and layers, each
//! unpacked once, under the digest of its uncompressed tar stream, as a directory that overlayfs mounts as a lower
//! one. Names point to ids. Everything that comes in is taken for hostile: see [`Store::load`] and
//! [`Store::pull`].
//!
//! ```no_run
//! # fn main() -> Result<(), sandbar_image::Error> {
//! use std::path::Path;
//!
//! let store = sandbar_image::Store::open(Path::new("/var/lib/sandbar/images"))?;
//! for loaded in store.load(std::io::stdin())? {
//!     println!("{} {:?}", loaded.id, loaded.references);
//! }
//! let image = store.find("nginx")?;
//! println!("lowerdir={:?}", image.layers);
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//! - A reader sees an image whole or not at all; a layer's directory appears by one rename, after its digest fits.
//! - An [`Image`] keeps what it names from being removed until it is dropped.
//! - A killed process leaves nothing that a later [`Store::open`] or [`Store::remove`] does not clear.
//! - The layers' archives are not kept once unpacked, but beside each layer is a recipe that makes its tar stream
//!   again, byte for byte, of the files: see [`Store::layer_stream`]. How it was compressed is forgotten.
//! - `openat2` (Linux 5.6) is needed to unpack; without it unpacking is refused.

#![forbid(unsafe_code)]

mod choice;
mod compression;
mod create;
mod digest;
mod error;
mod export;
mod image;
mod limits;
mod load;
mod manifest;
mod manifest_list;
mod platform;
mod pull;
mod push;
mod recipe;
mod reference;
mod remove_tree;
mod save;
mod store;
mod tarball;
mod unpack;
mod zstd;

pub use compression::{Compression, decompressed};
pub use create::{Changes, File, Settings};
pub use digest::{Digest, ImageId};
pub use error::{Error, ErrorKind, Result};
pub use image::{Image, Summary};
pub use limits::Limits;
pub use load::Loaded;
pub use manifest_list::{ListPush, ManifestList, Member, RemoteOf};
pub use oci_spec::image::{Config, ImageConfiguration};
pub use platform::Platform;
pub use pull::{Cause, ManifestName, Progress, Remote, RemoteBlob, RemoteManifest};
pub use push::{Destination, OutgoingBlob, PushProgress, Pushed};
pub use recipe::LayerStream;
pub use reference::{Home, Reference};
pub use save::SaveFormat;
pub use store::{Damage, ImageUsage, Part, Pruned, Removal, Removed, Store, Usage, bytes_on_disk};
