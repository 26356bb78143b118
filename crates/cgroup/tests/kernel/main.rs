//! Tests against the kernel's own cgroups: each makes a cgroup of its own at the root of the
//! hierarchies, whose removal is part of the test. They need root and a writable cgroup mount.

#[cfg(test)]
mod devices;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod resources;

mod creating;
mod entering;
mod freezing;
mod killing;
mod limiting;
mod removing;
mod showing;
mod updating;
