//! Limits, statistics, freeze and kill: one interface over cgroup version 2, version 1 and the
//! hybrid of both.
//!
//! A [`Hierarchy`] is what the machine has mounted. It [creates](Hierarchy::create) and
//! [opens](Hierarchy::open) a [`Cgroup`] at a [`CgroupPath`], which is one directory in version 2
//! and one for each hierarchy in version 1; the caller need not know. A process is placed in it at
//! its birth, through an [`Entry`], and all are ended together with [`Cgroup::kill`].
//!
//! ```no_run
//! use std::time::Duration;
//! use sandbar_cgroup::{Ceiling, CgroupPath, Hierarchy, Limits, Pids};
//!
//! let path = CgroupPath::new("sandbar/my-pod/web")?;
//! let limits = Limits {
//!     memory: Some(Ceiling::At(64 << 20)),
//!     pids: Some(Pids::Default(2_048)),
//!     ..Limits::default()
//! };
//! let created = Hierarchy::detect()?.create(&path, &limits)?;
//! let entry = created.cgroup.entry()?; // for clone3, or for the child to call `enter`
//! println!("{:?}", created.cgroup.statistics()?);
//! created.cgroup.kill(Duration::from_secs(10))?;
//! created.cgroup.remove(Duration::from_secs(1))?;
//! # drop(entry);
//! # Ok::<(), sandbar_cgroup::Error>(())
//! ```
//!
//! For a front end of OCI bundles, [`Limits`] are made from `linux.resources` with `TryFrom`,
//! [`Hierarchy::place`] finds the cgroup of `linux.cgroupsPath`, and [`Usage`] is what `events`
//! shows. Which devices may be used is a [`DeviceList`]; in version 2, a BPF program decides by it.
//!
//! Where systemd is to make a cgroup, so that it knows of it, the feature `systemd` has a module of this name.
//!
//! What was asked for and can't be had is an error; what is only a default of ours is done without
//! and [told](Told). Process ids and error numbers are `rustix`'s, on which this crate is built.

#![forbid(unsafe_code)]

mod cgroup;
mod controller;
mod create;
mod devices;
mod entry;
mod error;
mod files;
mod freeze;
mod hierarchy;
mod kill;
mod limits;
mod made;
mod mountinfo;
mod oci;
mod offer;
mod path;
mod place;
mod processes;
mod remove;
mod resources;
mod setting;
mod statistics;
#[cfg(feature = "systemd")]
pub mod systemd;
mod usage;
mod wait;
mod walk;
mod writing;

pub use cgroup::Cgroup;
pub use controller::{Controller, Controllers};
pub use create::Created;
pub use devices::{DeviceAccess, DeviceKind, DeviceList, DeviceRule};
pub use entry::Entry;
pub use error::{Error, ErrorKind, Result};
pub use hierarchy::{Hierarchy, Version};
pub use limits::{Ceiling, CpuQuota, IdList, Limits, Pids, Told};
pub use path::CgroupPath;
pub use resources::{
    BlockDevice, HugePages, IoLimits, IoThrottle, IoWeight, NetworkPriority, RdmaLimit, Throttled,
    Unified,
};
pub use statistics::Statistics;
pub use usage::{
    CpuUsage, HugePagesUsage, IoEntry, MemoryCounter, MemoryUsage, Pressure, Stalled, Usage,
};
