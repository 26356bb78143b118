//! What a pod and a container are: ids, names, configuration, status, and the messages that the
//! supervisor understands. Data alone: nothing here opens a file or makes a system call.
//!
//! ```
//! use sandbar_spec::{ContainerName, PortRequest, Protocol};
//! let name: ContainerName = "nginx".parse()?;
//! let port: PortRequest = "127.0.0.1:8080:80/tcp".parse()?;
//! assert_eq!((name.as_str(), port.container.protocol), ("nginx", Protocol::Tcp));
//! # Ok::<(), sandbar_spec::Invalid>(())
//! ```
#![forbid(unsafe_code)]

mod bandwidth;
mod cidr;
mod container;
pub mod control;
mod id;
mod invalid;
pub mod layout;
mod limits;
mod name;
mod namespaces;
mod network;
mod pod;
mod port;
mod port_request;
mod restart;
mod signal;

pub use bandwidth::{Bandwidth, BitRate};
pub use cidr::{Address, Cidr};
pub use container::{ContainerConfig, ContainerState, ContainerStatus, ExitCode, Rootfs};
pub use id::{ContainerId, NetworkId, PodId};
pub use invalid::Invalid;
pub use limits::{Bytes, Limits};
pub use name::{ContainerName, NetworkName, PodName};
pub use namespaces::{NamespaceMode, Namespaces, Shared};
pub use network::{AddressPlan, Connection, Connection6, Membership, NetworkAccess, NetworkConfig};
pub use pod::{CniNetwork, NetworkMode, PauseStatus, PodConfig, PodStatus};
pub use port::{PortMapping, Protocol};
pub use port_request::{ExposedPort, HostPorts, PortRequest};
pub use restart::RestartPolicy;
pub use signal::SignalNumber;
