//! The life of pods and containers, and their state on disk.
//!
//! The engine is a library that every door (command line, Kubernetes YAML, CRI) calls. It keeps nothing in
//! memory: what it knows is on disk, so every door sees the same pods. What runs is in the hands of one
//! supervisor a pod, which the engine starts when there is something to supervise and asks over its socket.
//!
//! ```no_run
//! use sandbar_engine::{ContainerOptions, Engine, Roots, Source};
//! let engine = Engine::open(Roots::default())?;
//! let container = engine.create_container(&ContainerOptions::new(Source::Image("nginx".into())))?;
//! let started = engine.start_container(&container, None)?;
//! println!("{} runs as process {}", container.config.name, started.pid);
//! # Ok::<(), sandbar_engine::Error>(())
//! ```
#![forbid(unsafe_code)]

mod bridges;
mod bundle;
mod capabilities;
mod change_ports;
mod cni;
mod commit;
mod connect;
mod connections;
mod container;
mod create_container;
mod create_pod;
mod descriptors;
mod directories;
mod engine;
mod error;
mod etc;
mod exec;
mod find;
mod firewall;
mod guard;
mod lifecycle;
mod log;
mod macs;
mod names;
mod netns;
mod network;
mod networks;
mod options;
mod pause_image;
mod pod;
mod port_owner;
mod ports;
mod relay;
mod remove;
mod resolver;
mod resolvers;
mod roots;
mod sandbox;
mod sharing;
mod started;
mod supervise;
mod supervision;
mod sweep;
mod usage;
mod volumes;

pub use change_ports::Added;
pub use cni::CniDirectories;
pub use commit::CommitOptions;
pub use connect::Joined;
pub use container::Container;
pub use engine::Engine;
pub use error::{Error, Kind};
pub use exec::Exec;
pub use log::{Log, LogChunk};
pub use networks::{NetworkOptions, Pruned};
pub use options::{
    ContainerOptions, ExecOptions, HostAddress, PodOptions, Sharing, Source, Ulimit, Volume,
    VolumeSource,
};
pub use pod::{Pod, PodState};
pub use resolver::ensure_resolver;
pub use roots::Roots;
pub use sandbar_supervisor::StreamName;
pub use started::{Ending, Started};
pub use supervise::supervise;
pub use usage::{ContainerUsage, DiskUsage, VolumeUsage};
