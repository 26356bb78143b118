//! Cgroups that systemd makes, so that it knows of them: transient scopes with delegation.
//!
//! On a machine that systemd manages, it is the one writer of the tree of cgroups
//! (<https://systemd.io/CGROUP_DELEGATION>): what others make there it may undo. A runtime asks it for a [`Unit`]
//! through a [`Manager`], with those [properties](Property) that systemd has of the
//! [limits](limit_properties), so that a `systemctl daemon-reload` sets nothing back, and is given the cgroup of the
//! unit for its own (`Delegate=`). All else is then done with the files, as everywhere.
//!
//! A scope is there as long as a process is in it, and it begins with one: the caller's placeholder, until what the
//! cgroup is for is in it. Speaking D-Bus takes threads, which the placeholder may have and a process that is about
//! to clone itself may not.

mod annotation;
mod limits;
mod manager;
mod property;
mod tracking;
mod unit;

pub use annotation::annotation_properties;
pub use limits::{limit_properties, present_properties};
pub use manager::{Manager, is_running};
pub use property::{Property, Value};
pub use tracking::{lead_into, place_of};
pub use unit::Unit;
