//! Making a cgroup and setting its limits.

use std::path::PathBuf;

use rustix::io::Errno;

use crate::error::Cause;
use crate::made::Made;
use crate::offer::{Offered, offer};
use crate::setting::{self, Lack, Setting};
use crate::{
    Cgroup, CgroupPath, Controller, Controllers, Error, Hierarchy, Limits, Result, Told, files,
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
            apply(&cgroup, settings, &offered, &mut told)?;
        } else {
            has = self.controllers()?;
            let offered = Offered { controllers: has, refusal: None };
            let cpuset = needed(&settings).contains(Controller::Cpuset);
            // Before anything is made: most failures are seen here.
            check(&settings, &offered)?;
            for mount in self.mounts().iter().filter(|mount| cpuset || !mount.is_on_request()) {
                made.make(mount, path)?;
            }
            apply(&cgroup, settings, &offered, &mut told)?;
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
    /// The limits are written one by one: when one is refused, those before it are set. Lowering
    /// `memory` below what is in use is refused in version 1; in version 2 the kernel ends
    /// processes until it fits.
    ///
    /// # Errors
    /// As for [`Hierarchy::create`], and [`NotFound`](crate::ErrorKind::NotFound).
    pub fn set_limits(&self, limits: &Limits) -> Result<Vec<Told>> {
        let hierarchy = self.hierarchy();
        let settings = settings(hierarchy, limits)?;
        self.must_exist()?;
        let mut told = Vec::new();
        if hierarchy.is_v2() {
            let offered = offer(hierarchy.first(), self.path(), needed(&settings))?;
            apply(self, settings, &offered, &mut told)?;
            return Ok(told);
        }
        let offered = Offered { controllers: hierarchy.controllers()?, refusal: None };
        check(&settings, &offered)?;
        let cpuset = hierarchy
            .of(Controller::Cpuset)
            .filter(|mount| mount.is_on_request() && !mount.dir(self.path()).exists())
            .filter(|_| needed(&settings).contains(Controller::Cpuset));
        let mut made = Made::default();
        if let Some(mount) = cpuset {
            made.make(mount, self.path())?;
        }
        apply(self, settings, &offered, &mut told)?;
        if let Some(mount) = cpuset {
            self.move_all_into(&mount.dir(self.path()))?;
        }
        made.keep();
        Ok(told)
    }
}

fn settings(hierarchy: &Hierarchy, limits: &Limits) -> Result<Vec<Setting>> {
    if hierarchy.is_v2() { setting::v2(limits) } else { setting::v1(limits) }
}

fn needed(settings: &[Setting]) -> Controllers {
    settings.iter().map(|s| s.controller).fold(Controllers::NONE, Controllers::with)
}

/// Fails if a setting that was asked for lacks its controller.
fn check(settings: &[Setting], offered: &Offered) -> Result<()> {
    let lacking = settings
        .iter()
        .find(|s| s.lack == Lack::Fails && !offered.controllers.contains(s.controller));
    let Some(&Setting { controller, limit, .. }) = lacking else { return Ok(()) };
    Err(match offered.refusal.clone() {
        Some((path, source)) => Cause::NotEnabled { controller, limit, path, source }.into(),
        None => Cause::NoController { controller, limit }.into(),
    })
}

/// Writes the settings that can be had.
fn apply(
    cgroup: &Cgroup,
    settings: Vec<Setting>,
    offered: &Offered,
    told: &mut Vec<Told>,
) -> Result<()> {
    check(&settings, offered)?;
    let mut again = Vec::new();
    for setting in settings {
        if !offered.controllers.contains(setting.controller) {
            told.extend(setting.lack.told());
        } else if let Err(error) = write(cgroup, &setting, told) {
            // Some are held against each other (memory against memory and swap, a quota against
            // its period), and only pass after the other.
            match error.errno() {
                Some(Errno::INVAL) => again.push(setting),
                _ => return Err(error),
            }
        }
    }
    again.iter().try_for_each(|setting| write(cgroup, setting, told))
}

fn write(cgroup: &Cgroup, setting: &Setting, told: &mut Vec<Told>) -> Result<()> {
    let Some(file) = cgroup.file(setting.controller, setting.file) else {
        told.extend(setting.lack.told());
        return Ok(());
    };
    match files::write(&file, &setting.value) {
        Err(error) if error.errno() == Some(Errno::NOENT) => missing(cgroup, setting, file, told),
        other => other,
    }
}

/// The file is not there: the kernel lacks it, unless the cgroup itself is gone.
fn missing(cgroup: &Cgroup, setting: &Setting, path: PathBuf, told: &mut Vec<Told>) -> Result<()> {
    cgroup.must_exist()?;
    match setting.lack {
        Lack::Fails => {
            let value = setting.value.clone();
            Err(Error::from(Cause::NoFile { path, value, source: Errno::NOENT }))
        }
        lack => {
            told.extend(lack.told());
            Ok(())
        }
    }
}
