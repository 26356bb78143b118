//! A small DNS server for one network of pods: their names, and the host's resolvers for the rest.
//!
//! It listens at port 53 of the network's gateway, in one process of one thread that anybody who adds a pod
//! to the network starts where there is none, and that ends by itself with the last pod. Who is on the
//! network it reads from a directory, one file a pod:
//!
//! ```no_run
//! use sandbar_resolver::{Endpoint, Network, NetworkDirectory, Start};
//! use std::os::fd::AsFd;
//!
//! let directory = NetworkDirectory::new("/run/example/networks/blog");
//! let network: Network = "network blog\nlisten 10.85.0.1\nsubnet 10.85.0.0/24".parse()?;
//! directory.write(&network)?;
//! let addresses = vec!["10.85.0.2".parse()?];
//! let endpoint = Endpoint { addresses, names: vec!["db".into()], ..Endpoint::default() };
//! directory.put_endpoint("4a1f", &endpoint)?;
//! let program = std::fs::File::open("/proc/self/exe")?;
//! Start::new(program.as_fd()).ensure(&directory)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Its clients are containers, which may be anybody's. So: who is not of the network's subnets gets no
//! answer; messages are read by `hickory-proto`; a pod has a bounded number of questions and connections at a
//! time, and a bounded time for each; what goes on to other servers is made anew from the question; and the
//! process is nobody's, without capabilities.
#![forbid(unsafe_code)]

mod client;
mod directory;
mod endpoint;
mod error;
mod forward;
mod framed;
mod lines;
mod listen;
mod names;
mod network;
mod poll;
mod privileges;
mod query;
mod server;
mod siblings;
mod start;
mod subnet;
mod upstream;
mod watch;
mod zone;

pub use directory::NetworkDirectory;
pub use endpoint::Endpoint;
pub use error::{Error, ErrorKind, Result};
pub use network::Network;
pub use start::{Outside, PROGRAM_NAME, Start, resolve};
pub use subnet::Subnet;
pub use zone::SEARCH_DOMAIN;
