//! Capabilities by the specification's names.

use oci_spec::runtime::Capabilities;
use rustix::thread::CapabilitySet;

/// The set of the named capabilities; those that the kernel's headers do not know yet are left out, which
/// grants less, never more.
pub(crate) fn set(names: Option<&Capabilities>) -> CapabilitySet {
    names
        .into_iter()
        .flatten()
        .filter_map(|capability| CapabilitySet::from_name(&capability.to_string()))
        .fold(CapabilitySet::empty(), CapabilitySet::union)
}
