//! How the kernel schedules a process: its policy, its I/O priority, its execution domain.

use rustix::io::Errno;

use crate::fds::last_errno;

/// What [`set_scheduling`] sets: the fields of `struct sched_attr` (`sched_setattr(2)`).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Scheduling {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// For `SCHED_OTHER` and `SCHED_BATCH`.
    pub nice: i32,
    /// For `SCHED_FIFO` and `SCHED_RR`.
    pub priority: u32,
    /// For `SCHED_DEADLINE`, in nanoseconds, as the two below.
    pub runtime: u64,
    /// See `runtime`.
    pub deadline: u64,
    /// See `runtime`.
    pub period: u64,
}

/// Sets how the calling thread is scheduled (`sched_setattr(2)`).
///
/// # Errors
/// As sched_setattr(2).
pub fn set_scheduling(scheduling: Scheduling) -> Result<(), Errno> {
    let raw = libc::sched_attr {
        // SCHED_ATTR_SIZE_VER0.
        size: 48,
        sched_policy: scheduling.policy,
        sched_flags: scheduling.flags,
        sched_nice: scheduling.nice,
        sched_priority: scheduling.priority,
        sched_runtime: scheduling.runtime,
        sched_deadline: scheduling.deadline,
        sched_period: scheduling.period,
    };
    // SAFETY: the structure is initialised and at least as long as its size field says; the kernel only reads
    // it.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const raw, 0) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Sets the I/O priority of the calling thread (`ioprio_set(2)`): a class (1 real time, 2 best effort, 3
/// idle) and a level in it.
///
/// # Errors
/// As ioprio_set(2).
pub fn set_io_priority(class: u16, level: u16) -> Result<(), Errno> {
    const IOPRIO_WHO_PROCESS: libc::c_int = 1;
    let priority = libc::c_int::from(class) << 13 | libc::c_int::from(level & 0x1fff);
    // SAFETY: three integers and no memory.
    let done = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Sets the execution domain of this process (`personality(2)`): 0 is Linux, 8 Linux on 32 bits.
///
/// # Errors
/// As personality(2).
pub fn set_personality(persona: u32) -> Result<(), Errno> {
    // SAFETY: one integer; it changes what later system calls answer, and no memory of this process.
    if unsafe { libc::personality(persona.into()) } < 0 { Err(last_errno()) } else { Ok(()) }
}
