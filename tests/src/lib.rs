//! Sandbar's tests on a real kernel, through its command line, and the harness that they share.
//!
//! Each file in `tests/` is about one behaviour. Each test in it gets a [`Node`]: a machine of its own, made of
//! namespaces and a cgroup, with nothing on it. It tells what somebody does there, and what they see:
//!
//! ```no_run
//! use sandbar_tests::{Node, tests};
//!
//! tests! { a_container_says_hello }
//!
//! fn a_container_says_hello(node: &Node) {
//!     node.has_busybox();
//!     let said = node.sandbar(["run", "--rm", "busybox", "echo", "hello"]).ok();
//!     assert_eq!(said, "hello\n");
//! }
//! ```
//!
//! A test fails too if it leaves anything behind: a process, a mount, an interface, a published port, a file, a
//! cgroup. One that can't run on this machine is reported as ignored, with the reason, never as passed.

mod archive;
pub mod building;
mod bundle;
mod cgroups;
mod command;
pub mod cri;
mod described;
mod descriptor;
mod http;
mod leftovers;
mod machine;
mod needs;
mod node;
mod process;
mod race;
mod registry;
mod rootfs;
mod suite;
mod terminal;
mod until;

pub use archive::{digest, docker_archive, oci_archive, oci_archive_of};
pub use bundle::Bundle;
pub use command::{Command, Output, Running};
pub use described::{assert_same, described};
pub use descriptor::receive_descriptor;
pub use http::{Response, get};
pub use leftovers::left_behind;
pub use machine::{HOST, Machine, NEIGHBOUR, ask, ask_within, ip, tell};
pub use needs::Need;
pub use node::Node;
pub use process::{Process, living};
pub use race::{Untouched, alone, race};
pub use registry::{Answer, INDEX, MANIFEST, Registry, Request, noise};
pub use rootfs::Rootfs;
pub use suite::{Test, main};
pub use terminal::Terminal;
pub use until::{SOON, until};
