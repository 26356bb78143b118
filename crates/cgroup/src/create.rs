//! Making a cgroup and setting its limits.

use std::borrow::Cow;

use crate::error::Cause;
use crate::hierarchy::Mount;
use crate::made::Made;
use crate::offer::{Offered, offer};
use crate::writing::{Before, check, needed, settings};
use crate::{
    Ceiling, Cgroup, CgroupPath, Controller, Controllers, CpuQuota, Hierarchy, Limits, Result, Told,
};

/// Enabled in version 2 for what they limit and count, whether a limit asks or not. `cpuset` is
/// not: it only limits, and its part in making a cgroup is not free.
const USED_V2: Controllers =
    Controllers::of(&[Controller::Cpu, Controller::Io, Controller::Memory, Controller::Pids]);

/// A cgroup just made, or taken over.
#[derive(Debug)]
pub struct Created {
    /// The cgroup.
    pub cgroup: Cgroup,
    /// What had to be done without.
    pub told: Vec<Told>,
}

impl Hierarchy {
    /// Makes the cgroup `path`, and those above it as needed, in every hierarchy in use, and sets
    /// its limits. One that exists is taken over as it is, with its processes, and gets the
    /// limits.
    ///
    /// In version 2, a cgroup with others below it can't itself hold processes.
    ///
    /// # Errors
    /// [`NoController`](crate::ErrorKind::NoController) for a limit that was asked for and can't
    /// be had here, [`InvalidLimit`](crate::ErrorKind::InvalidLimit),
    /// [`Refused`](crate::ErrorKind::Refused), [`Denied`](crate::ErrorKind::Denied),
    /// [`System`](crate::ErrorKind::System). What was made is removed again.
    pub fn create(&self, path: &CgroupPath, limits: &Limits) -> Result<Created> {
        let cgroup = self.open(path);
        let settings = settings(self, limits)?;
        let mut made = Made::default();
        let mut told = Vec::new();
        let has;
        if self.is_v2() {
            made.make(self.first(), path)?;
            let offered = offer(self.first(), path, USED_V2.union(needed(&settings)))?;
            has = offered.controllers.with(Controller::Cpuacct);
            check(&settings, &offered)?;
            cgroup.write(limits, &settings, &offered, made.before(), &mut told)?;
        } else {
            has = self.controllers()?;
            let offered = Offered { controllers: has, refusal: None };
            let needed = needed(&settings);
            // Before anything is made: most failures are seen here.
            check(&settings, &offered)?;
            let is_used = |mount: &&Mount| !mount.is_on_request() || mount.has_any(needed);
            for mount in self.mounts().iter().filter(is_used) {
                made.make(mount, path)?;
            }
            cgroup.write(limits, &settings, &offered, made.before(), &mut told)?;
        }
        for counter in [Controller::Cpuacct, Controller::Memory, Controller::Pids] {
            let known = counter == Controller::Pids
                && told.iter().any(|told| matches!(told, Told::NoPidsLimit { .. }));
            if !has.contains(counter) && !known {
                told.push(Told::NotCounted(counter));
            }
        }
        made.keep();
        Ok(Created { cgroup, told })
    }
}

impl Cgroup {
    /// Changes the limits of an existing cgroup; what is `None` stays.
    ///
    /// The limits are written one by one. When one is refused, those before it are set back; where
    /// that fails too, the error names the files that are left changed.
    ///
    /// Lowering `memory` below what is in use is refused in version 1; in version 2 the kernel
    /// ends processes until it fits, unless [`Limits::memory_checked`] is set.
    ///
    /// # Errors
    /// As for [`Hierarchy::create`], and [`NotFound`](crate::ErrorKind::NotFound).
    pub fn set_limits(&self, limits: &Limits) -> Result<Vec<Told>> {
        let hierarchy = self.hierarchy();
        self.must_exist()?;
        let limits = &*self.completed(limits)?;
        let settings = settings(hierarchy, limits)?;
        let mut told = Vec::new();
        if hierarchy.is_v2() {
            let offered = offer(hierarchy.first(), self.path(), needed(&settings))?;
            check(&settings, &offered)?;
            self.write(limits, &settings, &offered, Before::Limits, &mut told)?;
            return Ok(told);
        }
        let offered = Offered { controllers: hierarchy.controllers()?, refusal: None };
        check(&settings, &offered)?;
        let needed = needed(&settings);
        let lacks = |mount: &&Mount| {
            mount.is_on_request() && mount.has_any(needed) && !mount.dir(self.path()).exists()
        };
        let lacking: Vec<&Mount> = hierarchy.mounts().iter().filter(lacks).collect();
        let mut made = Made::default();
        for mount in &lacking {
            made.make(mount, self.path())?;
        }
        self.write(limits, &settings, &offered, Before::Limits, &mut told)?;
        for mount in lacking {
            self.move_all_into(&mount.dir(self.path()))?;
        }
        made.keep();
        Ok(told)
    }

    /// The limits with what version 2 wants to be told at once with them, as it is now: the memory
    /// limit beside one on memory and swap, and the CPU quota beside the period.
    pub(crate) fn completed<'a>(&self, limits: &'a Limits) -> Result<Cow<'a, Limits>> {
        let mut limits = Cow::Borrowed(limits);
        if self.hierarchy().is_v2() {
            if matches!(limits.memory_swap, Some(Ceiling::At(_))) && limits.memory.is_none() {
                limits.to_mut().memory =
                    self.number(Controller::Memory, "memory.max")?.map(Ceiling::At);
            }
            if let Some(cpu) =
                limits.cpu_quota.filter(|cpu| cpu.quota().is_none() || cpu.period().is_none())
            {
                let now = self.read(Controller::Cpu, "cpu.max")?.unwrap_or_default();
                let (quota, period) = now.trim_end().split_once(' ').unwrap_or_default();
                let quota = quota.parse().map_or(Ceiling::Unlimited, Ceiling::At);
                let quota = cpu.quota().unwrap_or(quota);
                let period = cpu.period().or_else(|| period.parse().ok());
                limits.to_mut().cpu_quota = Some(CpuQuota::partly(Some(quota), period)?);
            }
        }
        if let Some(limit) = lowest_memory(&limits).filter(|_| limits.memory_checked) {
            let used =
                ["memory.current", "memory.usage_in_bytes"][usize::from(!self.hierarchy().is_v2())];
            let used = self.number(Controller::Memory, used)?;
            if used.is_some_and(|used| limit <= used) {
                let (what, value) = ("memory limit".into(), format!("{limit} bytes"));
                let why = "it is not above what is in use";
                return Err(Cause::InvalidLimit { limit: what, value, why }.into());
            }
        }
        Ok(limits)
    }
}

/// The lower of the limits on memory and on memory with swap.
fn lowest_memory(limits: &Limits) -> Option<u64> {
    let at = |ceiling| match ceiling {
        Some(Ceiling::At(bytes)) => Some(bytes),
        _ => None,
    };
    at(limits.memory).into_iter().chain(at(limits.memory_swap)).min()
}
