//! From a layer's tar stream to a directory that overlayfs takes as a lower one.
//!
//! Every path is resolved by the kernel below the layer's root (`openat2` with `RESOLVE_IN_ROOT`); what is made is
//! made by its last component in an open directory. A layer is unpacked alone: a directory it does not list but
//! needs is made with mode 0755, as Docker does, and a hard link can only name what is in the same layer.

mod attributes;
mod kept;
mod layer;
mod name;
mod nodes;
mod root;
mod whiteout;

pub(crate) use attributes::keeps;
pub(crate) use layer::unpack;
pub(crate) use name::split;
pub(crate) use root::Fill;
pub(crate) use whiteout::is_whiteout;
