//! The one door to `unsafe`: safe functions over the system calls that `rustix` lacks or marks unsafe.
//!
//! Every other crate but `pause` forbids unsafe code and comes here. A failed call says which call it was
//! and with what arguments:
//!
//! ```
//! use sandbar_sys::During;
//! let failed = rustix::fs::stat("/no/such/file").during("stat", || "/no/such/file".into());
//! assert_eq!(failed.unwrap_err().to_string(), "stat /no/such/file: No such file or directory (os error 2)");
//! ```
#![allow(unsafe_code, reason = "this crate is the one door to unsafe code")]

mod bpf;
mod child;
mod exec;
mod failure;
mod fds;
mod keyring;
mod loopback;
mod memory;
mod mount;
mod namespace;
mod overlay;
mod own_program;
mod process;
mod program;
mod scheduling;
mod seccomp;
mod signals;
mod socket_filter;

pub use bpf::{
    BpfInstruction, attach_device_program, detach_device_program, device_programs,
    load_device_program,
};
pub use child::{Child, CloneOptions, clone_child, end_child};
pub use exec::{execute, execute_file};
pub use failure::{During, Failure};
pub use fds::{
    close_from, is_open, mark_close_on_exec_from, pass_on, replace_descriptor, take_inherited,
};
pub use keyring::new_session_keyring;
pub use loopback::bring_up_loopback;
pub use memory::{release_program, trim_heap};
pub use mount::{MountAttributes, map_mount_owners, set_mount_attributes};
pub use namespace::{Namespaces, unshare};
pub use overlay::Overlay;
pub use own_program::own_program;
pub use process::{ends_within, process_lives, process_start};
pub use program::Program;
pub use scheduling::{Scheduling, set_io_priority, set_personality, set_scheduling};
pub use seccomp::{
    SeccompFlags, SeccompInstruction, load_seccomp_filter, load_seccomp_filter_with_listener,
};
pub use signals::{SignalFd, block_signals, default_signals, real_time_signal, unblock_signals};
pub use socket_filter::{FilterInstruction, attach_socket_filter};
