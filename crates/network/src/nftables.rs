//! Sandbar's nftables table, spoken over netlink as in `nf_tables.h`.

mod element;
mod expression;
mod ruleset;
mod transaction;

pub(crate) use element::{Destination, Element, Map, all_of};
pub(crate) use ruleset::{is_in_place, put_in_place};
pub(crate) use transaction::{Batch, Failure, Nftables};

/// The one table, of family `ip`.
pub(crate) const TABLE: &str = "sandbar";
