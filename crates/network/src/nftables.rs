//! Sandbar's nftables table, spoken over netlink as in `nf_tables.h`.

mod docker_user;
mod dumped;
mod element;
mod expression;
mod links;
mod listed;
mod policy;
mod repair;
mod rules;
mod ruleset;
mod sets;
mod transaction;

pub(crate) use docker_user::{CHAIN as DOCKER_USER, TABLE as DOCKER_TABLE, admit, withdraw};
pub(crate) use element::{Destination, Element, Map, all_of};
pub(crate) use links::{forget_links, link, unlink};
pub use policy::{ForwardDrop, forward_drops};
pub(crate) use ruleset::{
    Loopback6, Network, is_in_place, is_whole, put_back_in_place, put_in_place, take_away,
};
pub(crate) use transaction::{Batch, Failure, Nftables};

/// The one table, of family `inet`.
pub(crate) const TABLE: &str = "sandbar";
