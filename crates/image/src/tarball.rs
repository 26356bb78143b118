//! Reading tar streams that someone hostile wrote: one reading of every entry, or a refusal.
//!
//! The `tar` crate decodes the header block; the framing around it is here, because three things must hold that a
//! general reader can't promise: no extension header is read into memory before its length is known to be small,
//! where two fields of an entry disagree nobody picks one silently, and values may hold any byte.

mod entry;
mod pax;
mod reader;
mod source;
mod sparse;

pub(crate) use entry::{Entry, Kind};
pub(crate) use reader::TarReader;
pub(crate) use source::{Section, Seeking, Source, read_past};
pub(crate) use sparse::{STRETCHES, Sparse};
