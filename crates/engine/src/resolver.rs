//! Starting the resolver of a network whose pods have names.

use std::os::fd::AsFd;

use sandbar_resolver::{NetworkDirectory, Start};
use sandbar_sys::own_program;

use crate::error::Error;
use crate::supervision::supervisors_entry;

/// Makes sure that a network has a resolver, after a pod was put on it
/// ([`put_endpoint`](NetworkDirectory::put_endpoint)). Whether one was started. It ends by itself.
///
/// For commands: the resolver stays in its starter's mount and network namespaces. What supervisors do is in
/// `resolvers.rs`.
///
/// # Errors
/// [`NoNetwork`](crate::Kind::NoNetwork) if another program listens at the gateway; else as for the network's files.
pub fn ensure_resolver(directory: &NetworkDirectory) -> Result<bool, Error> {
    let program = own_program()?;
    let entry = supervisors_entry()?;
    let entry = entry.as_ref();
    let start = Start {
        cgroup_tasks: entry.iter().flat_map(|entry| &entry.tasks).map(AsFd::as_fd).collect(),
        into_cgroup: entry.and_then(|entry| entry.clone_into.as_ref()).map(AsFd::as_fd),
        ..Start::new(program.as_fd())
    };
    Ok(start.ensure(directory)?)
}
