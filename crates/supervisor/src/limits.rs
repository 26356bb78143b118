//! Resource limits that a pod's processes do not get from their supervisor.

use oci_spec::runtime::{PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process};
use rustix::process::{Resource, getrlimit};

use crate::Error;

/// Has a process begin with `soft` as its limit of descriptors, if it is not told otherwise: its supervisor's own is
/// higher, so that it can keep thousands of ports.
pub(crate) fn of_descriptors(process: &mut Process, soft: Option<u64>) -> Result<(), Error> {
    let mut limits: Vec<PosixRlimit> = process.rlimits().clone().unwrap_or_default();
    let Some(soft) = soft else { return Ok(()) };
    if limits.iter().any(|limit| limit.typ() == PosixRlimitType::RlimitNofile) {
        return Ok(());
    }
    let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let limit =
        PosixRlimitBuilder::default().typ(PosixRlimitType::RlimitNofile).soft(soft).hard(hard);
    let limit = limit.build().map_err(|error| Error::new(format!("RLIMIT_NOFILE: {error}")))?;
    limits.push(limit);
    process.set_rlimits(Some(limits));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_is_told_goes_before_what_it_would_inherit() {
        let soft_of = |process: &Process| {
            process.rlimits().as_deref().unwrap_or_default().iter().map(PosixRlimit::soft).next()
        };
        let mut process = Process::default();
        process.set_rlimits(None);
        of_descriptors(&mut process, None).unwrap();
        assert_eq!(soft_of(&process), None);
        of_descriptors(&mut process, Some(100)).unwrap();
        assert_eq!(soft_of(&process), Some(100));
        of_descriptors(&mut process, Some(200)).unwrap();
        assert_eq!(soft_of(&process), Some(100));
    }
}
