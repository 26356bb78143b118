//! A system call that the kernel refuses, for a process that runs under the filter.

use rustix::process::Signal;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Which call fails with EPERM.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    /// Setting what happens when this signal comes.
    Handler(Signal),
    /// Waiting for a signal.
    Wait,
}

impl Refusal {
    /// The filter, for this machine.
    pub(crate) fn filter(self) -> BpfProgram {
        let (call, rules) = match self {
            Self::Handler(signal) => {
                let number = u64::try_from(signal.as_raw()).unwrap();
                let this =
                    SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, number);
                (libc::SYS_rt_sigaction, vec![SeccompRule::new(vec![this.unwrap()]).unwrap()])
            }
            Self::Wait => (libc::SYS_rt_sigsuspend, vec![]),
        };
        let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
        let machine = std::env::consts::ARCH.try_into().unwrap();
        let filter =
            SeccompFilter::new([(call, rules)].into(), SeccompAction::Allow, refuse, machine);
        filter.unwrap().try_into().unwrap()
    }
}
