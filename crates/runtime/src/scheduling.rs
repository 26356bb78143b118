//! `process.scheduler`, `process.ioPriority` and `process.execCPUAffinity` (runtime-spec, `config.md`).

use oci_spec::runtime::{
    IOPriorityClass, LinuxSchedulerFlag, LinuxSchedulerPolicy, Process as ProcessSpec, Scheduler,
};
use rustix::io::Errno;
use rustix::thread::CpuSet;
use sandbar_sys::{During, Scheduling, set_io_priority, set_scheduling};

use crate::error::{Error, Kind, Step};
use crate::report::Reporter;

/// Refuses what contradicts itself.
pub(crate) fn check(spec: &ProcessSpec) -> Result<(), Error> {
    let invalid = |why: String| Err(Error::new(Kind::InvalidSpec, why));
    if let Some(scheduler) = spec.scheduler() {
        check_scheduler(scheduler)?;
    }
    if let Some(priority) = spec.io_priority()
        && !(0..=7).contains(&priority.priority())
    {
        return invalid(format!(
            "process.ioPriority: the priority {} is not between 0 and 7",
            priority.priority()
        ));
    }
    if let Some(affinity) = spec.exec_cpu_affinity() {
        for list in [affinity.initial(), affinity.cpu_affinity_final()] {
            list.as_deref().map(cpus).transpose()?;
        }
    }
    Ok(())
}

fn check_scheduler(scheduler: &Scheduler) -> Result<(), Error> {
    use LinuxSchedulerPolicy::{SchedBatch, SchedDeadline, SchedFifo, SchedOther, SchedRr};
    let policy = *scheduler.policy();
    let invalid = |why: &str| {
        Err(Error::new(Kind::InvalidSpec, format!("process.scheduler {policy}: {why}")))
    };
    let nice = scheduler.nice().unwrap_or(0);
    if !(-20..=19).contains(&nice) {
        return invalid("nice is not between -20 and 19");
    }
    if nice != 0 && !matches!(policy, SchedOther | SchedBatch) {
        return invalid("nice is for SCHED_OTHER and SCHED_BATCH");
    }
    let priority = scheduler.priority().unwrap_or(0);
    if priority != 0 && !matches!(policy, SchedFifo | SchedRr) {
        return invalid("priority is for SCHED_FIFO and SCHED_RR");
    }
    if priority < 0 {
        return invalid("priority is negative");
    }
    let times = [scheduler.runtime(), scheduler.deadline(), scheduler.period()];
    if times.iter().any(|time| time.unwrap_or(0) != 0) && policy != SchedDeadline {
        return invalid("runtime, deadline and period are for SCHED_DEADLINE");
    }
    Ok(())
}

/// Sets the scheduler and the I/O priority, while this process still has the capabilities for it.
pub(crate) fn apply(spec: &ProcessSpec) -> Result<(), Error> {
    if let Some(scheduler) = spec.scheduler() {
        let scheduling = scheduling(scheduler);
        set_scheduling(scheduling)
            .during("sched_setattr", || format!("{scheduling:?}"))
            .step(|| format!("process.scheduler {}", scheduler.policy()))?;
    }
    if let Some(asked) = spec.io_priority() {
        let class = match asked.class() {
            IOPriorityClass::IoprioClassRt => 1,
            IOPriorityClass::IoprioClassBe => 2,
            IOPriorityClass::IoprioClassIdle => 3,
        };
        let level = u16::try_from(asked.priority()).unwrap_or(0);
        set_io_priority(class, level)
            .during("ioprio_set", || format!("{} {level}", asked.class()))
            .step(|| "process.ioPriority".into())?;
    }
    Ok(())
}

/// Sets the CPUs of a further process in a container: it is in the container's cgroup already, so what it
/// should begin on may be outside of that, which is told.
pub(crate) fn apply_affinity(spec: &ProcessSpec, reporter: &Reporter) -> Result<(), Error> {
    let Some(affinity) = spec.exec_cpu_affinity() else { return Ok(()) };
    if let Some(list) = affinity.initial() {
        match set_cpus(list) {
            Err(Errno::INVAL) => {
                reporter.tell(&format!("the initial CPUs {list} are not the container's"));
            }
            done => done
                .during("sched_setaffinity", || list.clone())
                .step(|| "process.execCPUAffinity.initial".into())?,
        }
    }
    if let Some(list) = affinity.cpu_affinity_final() {
        set_cpus(list)
            .during("sched_setaffinity", || list.clone())
            .step(|| "process.execCPUAffinity.final".into())?;
    }
    Ok(())
}

fn set_cpus(list: &str) -> Result<(), Errno> {
    let set = cpus(list).map_err(|_checked_before| Errno::INVAL)?;
    rustix::thread::sched_setaffinity(None, &set)
}

/// Reads a list such as `0-3,7` (cpuset(7)).
fn cpus(list: &str) -> Result<CpuSet, Error> {
    let wrong = || {
        let most = CpuSet::MAX_CPU;
        let message = format!(
            "process.execCPUAffinity '{list}': not a list of CPUs below {most}, as in 0-3,7"
        );
        Error::new(Kind::InvalidSpec, message)
    };
    let mut set = CpuSet::new();
    for range in list.split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to): (usize, usize) = match (from.parse(), to.parse()) {
            (Ok(from), Ok(to)) if from <= to && to < CpuSet::MAX_CPU => (from, to),
            _ => return Err(wrong()),
        };
        for cpu in from..=to {
            set.set(cpu);
        }
    }
    Ok(set)
}

fn scheduling(scheduler: &Scheduler) -> Scheduling {
    let flags = scheduler.flags().as_deref().unwrap_or_default();
    Scheduling {
        policy: match scheduler.policy() {
            LinuxSchedulerPolicy::SchedOther => 0,
            LinuxSchedulerPolicy::SchedFifo => 1,
            LinuxSchedulerPolicy::SchedRr => 2,
            LinuxSchedulerPolicy::SchedBatch => 3,
            LinuxSchedulerPolicy::SchedIso => 4,
            LinuxSchedulerPolicy::SchedIdle => 5,
            LinuxSchedulerPolicy::SchedDeadline => 6,
        },
        flags: flags.iter().fold(0, |all, flag| all | bit(*flag)),
        nice: scheduler.nice().unwrap_or(0),
        priority: scheduler.priority().and_then(|one| one.try_into().ok()).unwrap_or(0),
        runtime: scheduler.runtime().unwrap_or(0),
        deadline: scheduler.deadline().unwrap_or(0),
        period: scheduler.period().unwrap_or(0),
    }
}

/// `SCHED_FLAG_*` of `linux/sched.h`.
fn bit(flag: LinuxSchedulerFlag) -> u64 {
    match flag {
        LinuxSchedulerFlag::SchedResetOnFork => 0x01,
        LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
        LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
        LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
        LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
        LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
        LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cpus_is_read() {
        let set = cpus("0-2,5").unwrap();
        assert_eq!((set.count(), set.is_set(2), set.is_set(3)), (4, true, false));
        for wrong in ["", "1-", "3-1", "0-99999", "x"] {
            assert_eq!(cpus(wrong).unwrap_err().kind(), Kind::InvalidSpec, "{wrong}");
        }
    }
}
