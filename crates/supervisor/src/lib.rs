//! The process that every pod has one of.
//!
//! A supervisor is the parent of all that runs in its pod. It starts containers through the runtime, writes
//! what they print to their logs, keeps how they ended on disk, restarts them by their policy, runs further
//! processes in them and brings a killed pause back. It holds the pod's namespaces open, so that its network
//! outlives any process in it. It is one thread around `epoll(7)`, and nothing that it does waits.
//!
//! Everything it knows is on disk, so a supervisor that was killed is replaced by [`run`] on the same
//! directory: the new one finds the living containers by their recorded processes.
//!
//! [`Client`] is the other side: what the engine asks a supervisor through.
#![forbid(unsafe_code)]

mod adopt;
mod cgroups;
mod client;
mod clients;
mod end;
mod error;
mod exec;
mod freeze;
mod guard;
mod limits;
mod log;
mod member;
mod namespaces;
mod packet;
mod poll;
mod ports;
mod record;
mod relay;
mod requests;
mod shared_memory;
mod start;
mod stop;
mod streams;
mod supervisor;

pub use cgroups::{container_cgroup, pod_cgroup, supervisors_cgroup};
pub use client::{Client, listen};
pub use error::Error;
pub use guard::Guard;
pub use log::{LogLine, StreamName};
pub use namespaces::SandboxNamespaces;
pub use packet::Packet;
pub use record::{read_record, replace_record};
pub use supervisor::{Ended, Given, run};
