//! The store on disk.
//!
//! ```text
//! lock                     locked shared to add and to use, exclusively to remove
//! blobs/sha256/<hex>       configurations, and the manifests that came with them
//! layers/<hex>/diff/       a layer, unpacked, under the digest of its uncompressed tar stream
//! layers/<hex>/size        bytes in its files, and in the stream
//! layers/<hex>/recipe      what of the stream is not in the files; drawn in recipe.rs
//! layers/<hex>/kept/       what the layer itself replaced, if anything
//! images/<hex>             a record for each image: its layers and size; written last, so it says "whole"
//! manifests/<hex>          the id of the image that a manifest of that digest describes
//! places/<hex>             where a manifest of that digest was pushed to, if it was
//! references/<hex>         a name and its image's id, under the digest of the name
//! lists/<hex>              a manifest list, under the digest of its name; locked while one is changed
//! partial/<hex>            what has come of a layer's blob, locked while more comes; a later pull goes on from there
//! tmp/<unique>/            work of a living process, which holds a lock on it
//! ```
//!
//! A file is replaced whole: written in `tmp`, synced, renamed. Readers of one file need no lock. Who adds holds the
//! shared lock from looking which layers are there until the record is written; who removes holds the exclusive
//! lock while it finds out what nobody needs and moves it away. So nothing goes that is being added or, by the
//! shared lock in an [`Image`](crate::Image), being put to use.

mod check;
mod commit;
mod compare;
mod find;
mod layers;
mod list;
mod lists;
mod lock;
mod open;
mod places;
mod prune;
mod record;
mod references;
mod remove;
mod repair;
mod stage;
mod staging;
mod usage;

pub use check::{Damage, Part};
pub use open::Store;
pub use prune::Pruned;
pub use remove::{Removal, Removed};
pub use usage::{ImageUsage, Usage, bytes_on_disk};

pub(crate) use commit::{NewImage, NewLayer, Staged};
pub(crate) use lock::Lock;
pub(crate) use record::encode;
pub(crate) use stage::{EndMark, StagedLayer, check};
pub(crate) use staging::Staging;
