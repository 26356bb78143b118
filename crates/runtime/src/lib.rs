//! An OCI runtime bundle in, a running process out.
//!
//! [`start`] clones a child that turns itself into a container's first process: it enters namespaces and
//! cgroups, builds the root filesystem in a mount namespace of its own, gives up privileges and executes.
//! [`start_in`] does the same for a further process in a running container. Both return at once; the child
//! reports through [`Starting`], so a start that hangs holds up nobody.
//!
//! The specification is that of the Open Container Initiative (runtime-spec, `config-linux.md`); what of it
//! is not supported is refused before anything is made ([`Error::kind`]).
#![forbid(unsafe_code)]

mod bundle;
mod capabilities;
mod cgroup_mount;
mod check;
mod container;
mod copy_up;
mod devices;
mod environment;
mod error;
mod files;
mod gate;
mod handoff;
mod hooks;
mod inherited;
mod keyring;
mod labels;
mod limits;
mod masks;
mod mount_options;
mod mounts;
mod namespaces;
mod privileges;
mod process;
mod program;
mod report;
mod root;
mod rootfs;
mod scheduling;
mod seccomp;
mod starting;
mod sysctl;
mod terminal;
mod user;
mod user_namespace;

pub use bundle::anchor;
pub use check::Checked;
pub use container::Container;
pub use error::{Error, Kind};
pub use gate::{Gate, LONGEST_STATE};
pub use hooks::run_hooks;
pub use mount_options::MOUNT_OPTIONS;
pub use process::{Process, Stdio};
pub use rootfs::Rootfs;
pub use starting::{Event, PidNamespace, Placement, Starting, start, start_in};
