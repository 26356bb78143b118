//! Pods on a bridge: addresses, veth pairs, outgoing NAT and published ports.
//!
//! Everything is spoken straight to the kernel over netlink, synchronously; no `ip`, `nft` or `iptables` is run.
//! All state is the kernel's, but for the leases, which are entries of one directory. So any process may go on
//! where another was killed: every call here either is idempotent or undoes what it began.
//!
//! The calls act on the network namespace of the calling thread, called *the host* here.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sandbar_network::{
//!     Attachment, Bridge, InterfaceName, Leases, Pool, Protocol, PublishedPort, Reach, Wanted, attach, publish,
//!     reserve,
//! };
//! use std::{fs::File, num::NonZeroU16, os::fd::AsFd, path::Path};
//!
//! let bridge = Bridge::default(); // sandbar0, 10.84.0.0/16
//! bridge.ensure()?;
//!
//! let leases = Leases::open(Path::new("/run/sandbar/addresses/sandbar0"))?;
//! let address = leases.acquire("4f2a9c", &Pool::new(&bridge)?, Wanted::default())?;
//!
//! let netns = File::open("/run/netns/pod")?;
//! attach(&bridge, netns.as_fd(), &Attachment::new(InterfaceName::for_pod("4f2a9c")?, address))?;
//!
//! let web = PublishedPort::new(NonZeroU16::MIN, NonZeroU16::MIN, Protocol::Tcp);
//! let held = reserve(&web, Reach::Ipv4)?; // to be kept open as long as the port is published
//! publish(address, &[web])?;
//! # drop(held);
//! # Ok(())
//! # }
//! ```
//!
//! # What the host's firewall is given
//!
//! One nftables table, `inet sandbar`, the same however many pods and ports there are; a published port is one
//! element of a map in it. See [`publish`] for who may reach a published port, and [`Bridge::ensure`] for the rest.
//!
//! Where there is Docker's chain for the rules of others, it lets what comes from and goes to the bridges through.
//!
//! # Networks of others
//!
//! [`cni`] has the plugins of a CNI configuration attach a pod instead, and is apart from all else here.

#![forbid(unsafe_code)]

mod attach;
mod bridge;
mod carrier;
pub mod cni;
mod default_route;
mod error;
mod flow;
mod inside;
mod interface;
mod lease;
mod lingering;
mod mac;
mod message;
mod netlink;
mod nftables;
mod overlap;
mod plug;
mod pool;
mod port;
mod publish;
mod reserve;
mod subnet;
mod sysctl;
mod watch;
mod watch_host;

pub use attach::{Attached, Attachment, DefaultRoute, attach, bring_up_loopback, detach};
pub use bridge::{Access, Bridge, Ensured, is_loopback6_published};
pub use default_route::set_default_route;
pub use error::{Error, ErrorKind, Result};
pub use interface::InterfaceName;
pub use lease::Leases;
pub use lingering::Lingering;
pub use mac::MacAddress;
pub use nftables::{ForwardDrop, forward_drops};
pub use overlap::first_free;
pub use plug::{is_plugged, plug};
pub use pool::{Pool, Wanted};
pub use port::{PodAddresses, Protocol, PublishedPort};
pub use publish::{publish, put_back, unpublish, unpublish_address};
pub use reserve::{Reach, reserve};
pub use subnet::{Range, Subnet, Subnet6};
pub use sysctl::{Change, Setting, WithoutIpv6, without_ipv6};
pub use watch::Watch;
pub use watch_host::HostWatch;
