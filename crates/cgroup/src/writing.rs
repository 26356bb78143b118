//! Writing settings to a cgroup's files, and setting them back when a later one fails.

use std::path::PathBuf;

use rustix::io::Errno;

use crate::error::Cause;
use crate::offer::Offered;
use crate::setting::{self, Lack, Setting};
use crate::{Cgroup, Controllers, Error, Hierarchy, Limits, Result, Told, files};

/// What a cgroup's files may hold before they are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// What the kernel puts there; what is set is removed with the cgroup.
    Nothing,
    /// Limits, which come back on failure.
    Limits,
}

pub(crate) fn settings(hierarchy: &Hierarchy, limits: &Limits) -> Result<Vec<Setting>> {
    if hierarchy.is_v2() { setting::v2(limits) } else { setting::v1(limits) }
}

pub(crate) fn needed(settings: &[Setting]) -> Controllers {
    settings.iter().filter_map(|s| s.controller).fold(Controllers::NONE, Controllers::with)
}

fn is_offered(setting: &Setting, offered: &Offered) -> bool {
    setting.controller.is_none_or(|controller| offered.controllers.contains(controller))
}

/// Fails if a setting that was asked for lacks its controller.
pub(crate) fn check(settings: &[Setting], offered: &Offered) -> Result<()> {
    let lacking = settings.iter().find(|s| s.lack == Lack::Fails && !is_offered(s, offered));
    let Some(&Setting { controller: Some(controller), limit, .. }) = lacking else {
        return Ok(());
    };
    Err(match offered.refusal.clone() {
        Some((path, source)) => Cause::NotEnabled { controller, limit, path, source }.into(),
        None => Cause::NoController { controller, limit }.into(),
    })
}

/// A file that was written, and what to write to set it back.
struct Written {
    path: PathBuf,
    /// `None` for a file that can't be read.
    back: Option<String>,
}

impl Written {
    fn set_back(&self) -> bool {
        self.back.as_ref().is_some_and(|back| files::write(&self.path, back).is_ok())
    }
}

impl Cgroup {
    /// Writes the settings that can be had, and the device rules. On failure, what was written is
    /// set back, or the error says that it is not.
    pub(crate) fn write(
        &self,
        limits: &Limits,
        settings: &[Setting],
        offered: &Offered,
        before: Before,
        told: &mut Vec<Told>,
    ) -> Result<()> {
        if limits.kernel_memory.is_some() || limits.kernel_memory_tcp.is_some() {
            told.push(Told::NoKernelMemoryLimit);
        }
        let mut written = Vec::new();
        let done = self
            .write_all(settings, offered, before, told, &mut written)
            .and_then(|()| limits.devices.as_ref().map_or(Ok(()), |list| self.set_devices(list)));
        done.map_err(|error| {
            // Files held against each other go back only after one another, so twice around.
            written.reverse();
            written.retain(|written| !written.set_back());
            written.retain(|written| !written.set_back());
            let left = written.into_iter();
            error.leaving(left.map(|written| written.path).collect())
        })
    }

    fn write_all(
        &self,
        settings: &[Setting],
        offered: &Offered,
        before: Before,
        told: &mut Vec<Told>,
        written: &mut Vec<Written>,
    ) -> Result<()> {
        let mut again = Vec::new();
        for setting in settings {
            if !is_offered(setting, offered) {
                told.extend(setting.lack.told());
            } else if let Err(error) = self.write_one(setting, before, told, written) {
                // Some are held against each other (memory against memory and swap, a quota
                // against its period), and only pass after the other.
                match error.errno() {
                    Some(Errno::INVAL) => again.push(setting),
                    _ => return Err(error),
                }
            }
        }
        again.into_iter().try_for_each(|setting| self.write_one(setting, before, told, written))
    }

    fn write_one(
        &self,
        setting: &Setting,
        before: Before,
        told: &mut Vec<Told>,
        written: &mut Vec<Written>,
    ) -> Result<()> {
        let dir = match setting.controller {
            Some(controller) => self.dir(controller),
            None => Some(self.main_dir()),
        };
        let Some(dir) = dir else {
            told.extend(setting.lack.told());
            return Ok(());
        };
        let first = (setting.file.as_ref(), setting.value.as_str());
        let instead = setting.instead.as_ref().map(|(file, value)| (*file, value.as_str()));
        for (file, value) in std::iter::once(first).chain(instead) {
            let path = dir.join(file);
            let back = match before {
                Before::Nothing => None,
                Before::Limits => files::read(&path).ok().map(|text| setting.undo.value(&text)),
            };
            match files::write(&path, value) {
                Ok(()) => {
                    if before == Before::Limits {
                        written.push(Written { path, back });
                    }
                    return Ok(());
                }
                Err(error) if error.errno() == Some(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        self.missing(setting, dir.join(setting.file.as_ref()), told)
    }

    /// The file is not there: the kernel lacks it, unless the cgroup itself is gone.
    fn missing(&self, setting: &Setting, path: PathBuf, told: &mut Vec<Told>) -> Result<()> {
        self.must_exist()?;
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
}
