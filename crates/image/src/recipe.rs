//! Recipes: what of a layer's tar stream is not in the files that were unpacked from it.
//!
//! A layer is kept unpacked, once. Beside it lies everything else of its stream, in order and as it was: headers,
//! padding, what follows the end. Where the contents of a file were there is a reference to that file. The two
//! together give the stream again, byte by byte, and so the digest by which the layer is known.
//!
//! ```text
//! recipe        zstd of: "sandbar recipe 1\n", then records
//!                 'L' length:u32 bytes         bytes as they were
//!                 'C' length:u64 length:u16 path   the contents of diff/path
//!                 'S' size:u64 length:u16 path n:u32 (offset:u64 length:u64)*n   as C, of a sparse file of
//!                     that size: these stretches of it. The rest are holes
//!                 'E'                              the end
//! kept/<n>      what an entry of the layer replaced by another: a file, or a directory with all below it
//! kept/moves    zstd of, for each of these: contents:u64 length:u16 path
//! ```
//!
//! Numbers are little-endian. A path is that of the file itself, with no symbolic link on the way. Of a layer that
//! replaces nothing (nearly all) there is no `kept`. In `moves`, `path` is where the thing was, and `contents` how many
//! contents had come before it was moved away: those of them at or below `path` are found in `kept/<n>` now.

mod holes;
mod moves;
mod recording;
mod stream;
mod writer;

pub(crate) use moves::{Moves, MovesBuilder};
pub(crate) use recording::Recording;
pub use stream::LayerStream;
pub(crate) use stream::Parts;
pub(crate) use writer::Writer;

/// Which format this is. Another one has another number.
const MAGIC: &[u8] = b"sandbar recipe 1\n";
const LITERAL: u8 = b'L';
const CONTENTS: u8 = b'C';
const SPARSE: u8 = b'S';
const END: u8 = b'E';
/// The longest literal, so that a reader needs little memory.
const LITERAL_MAX: usize = 64 << 10;
/// The longest path, as with `PATH_MAX`.
pub(crate) const PATH: usize = 4095;
/// Headers are much alike: more work makes them little smaller.
const LEVEL: i32 = 1;
