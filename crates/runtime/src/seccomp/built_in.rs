//! The built-in profile (`seccomp/default.profile`), compiled when Sandbar is built.
//!
//! Calls that are for who has a capability have a mark in the place of a value; a start replaces the marks,
//! which is one pass over the program.

use oci_spec::runtime::Process as ProcessSpec;
use rustix::thread::CapabilitySet;
use sandbar_sys::SeccompInstruction;

use super::bpf::value;
use crate::capabilities;

include!(concat!(env!("OUT_DIR"), "/default_filter.rs"));

// Row 29: a profile that came out empty must not mean "unconfined".
const _: () = assert!(FILTER.len() > 100);

/// The capabilities that a process can ever have: its bounding set.
pub(super) fn granted(process: &ProcessSpec) -> CapabilitySet {
    let bounding = process.capabilities().as_ref().and_then(|sets| sets.bounding().as_ref());
    capabilities::set(bounding)
}

/// The filter of a process that has `granted`.
pub(super) fn filter(granted: CapabilitySet) -> Vec<SeccompInstruction> {
    let value = |k: u32| match GRANTS.get((k ^ MARK) as usize) {
        Some((enough, _)) if granted.bits() & enough != 0 => value::ALLOW,
        Some((_, refused)) => *refused,
        None => k,
    };
    let fill = |instruction: &SeccompInstruction| match instruction.code {
        super::bpf::RETURN => SeccompInstruction { k: value(instruction.k), ..*instruction },
        _ => *instruction,
    };
    FILTER.iter().map(fill).collect()
}
