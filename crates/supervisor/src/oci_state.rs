//! A container's state as the runtime specification has it (runtime.md, "State"), for a seccomp agent.

use oci_spec::runtime::{ContainerState, Spec, State};
use rustix::process::Pid;
use sandbar_spec::ContainerId;
use sandbar_spec::layout::ContainerDirectory;

/// The state of a container that runs as `first`, or that is being made.
pub(crate) fn of(
    id: &ContainerId,
    directory: &ContainerDirectory,
    spec: &Spec,
    first: Option<Pid>,
) -> State {
    let status = if first.is_some() { ContainerState::Running } else { ContainerState::Creating };
    let mut state = State::default();
    state
        .set_version(spec.version().clone())
        .set_id(id.to_string())
        .set_status(status)
        .set_pid(first.map(Pid::as_raw_pid))
        .set_bundle(directory.path().to_owned())
        .set_annotations(spec.annotations().clone());
    state
}
