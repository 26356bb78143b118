//! Limits as the kernel's files take them: the conversions between the versions' terms.

mod cpu;
mod io;
mod memory;
mod named;

use std::borrow::Cow;

use crate::error::Cause;
use crate::{Ceiling, Controller, Limits, Pids, Result, Told};

/// A value for one file of a cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// `None` for files that every cgroup of version 2 has.
    pub(crate) controller: Option<Controller>,
    pub(crate) file: Cow<'static, str>,
    pub(crate) value: String,
    /// Another file and its value, where the first is not there.
    pub(crate) instead: Option<(&'static str, String)>,
    pub(crate) undo: Undo,
    /// The limit this comes from, for messages.
    pub(crate) limit: &'static str,
    pub(crate) lack: Lack,
}

/// How to set a file back, from what it held before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undo {
    /// Its first line is written back.
    FirstLine,
    /// The line that begins with `key`, or `reset` when there was none.
    Line { key: String, reset: String },
    /// The number after this word.
    Number(&'static str),
}

impl Undo {
    /// What to write so that the file again says `text`.
    pub(crate) fn value(&self, text: &str) -> String {
        match self {
            // Version 2 takes an empty line for an empty list of CPUs.
            Self::FirstLine => format!("{}\n", text.lines().next().unwrap_or_default()),
            Self::Line { key, reset } => {
                let is_line = |line: &&str| {
                    line.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with(' '))
                };
                text.lines().find(is_line).unwrap_or(reset).to_owned()
            }
            Self::Number(word) => {
                crate::processes::keyed(text, word).unwrap_or_default().to_string()
            }
        }
    }
}

/// What it means when a setting's controller or file is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    Fails,
    Told(Told),
    /// Without the file, the setting holds anyway.
    Nothing,
}

impl Lack {
    pub(crate) fn told(self) -> Option<Told> {
        match self {
            Self::Told(told) => Some(told),
            Self::Fails | Self::Nothing => None,
        }
    }
}

/// The files of version 1, in an order that suits a new cgroup.
pub(crate) fn v1(limits: &Limits) -> Result<Vec<Setting>> {
    let mut settings = Settings::default();
    settings.memory_v1(limits)?;
    settings.cpu_v1(limits);
    settings.cpuset(limits);
    settings.pids(limits);
    settings.io_v1(&limits.io)?;
    settings.huge_pages(limits, "limit_in_bytes", "-1");
    settings.rdma(limits);
    settings.network(limits);
    match limits.unified.first() {
        Some(_) => {
            Err(Cause::OnlyIn { limit: "a file of the unified hierarchy", version: 2 }.into())
        }
        None => Ok(settings.0),
    }
}

/// The files of version 2.
pub(crate) fn v2(limits: &Limits) -> Result<Vec<Setting>> {
    let mut settings = Settings::default();
    settings.memory_v2(limits)?;
    settings.cpu_v2(limits)?;
    settings.cpuset(limits);
    settings.pids(limits);
    settings.io_v2(&limits.io)?;
    settings.huge_pages(limits, "max", "max");
    settings.rdma(limits);
    if limits.network_class.is_some() || !limits.network_priorities.is_empty() {
        let limit = "a class or priority of network packets";
        return Err(Cause::OnlyIn { limit, version: 1 }.into());
    }
    settings.unified(limits)?;
    Ok(settings.0)
}

/// Collects settings; the tables of files read better with it.
#[derive(Default)]
struct Settings(Vec<Setting>);

impl Settings {
    fn ask(
        &mut self,
        limit: &'static str,
        controller: Controller,
        file: impl Into<Cow<'static, str>>,
        value: String,
    ) -> &mut Setting {
        self.push(Setting {
            controller: Some(controller),
            file: file.into(),
            value,
            instead: None,
            undo: Undo::FirstLine,
            limit,
            lack: Lack::Fails,
        })
    }

    fn push(&mut self, setting: Setting) -> &mut Setting {
        self.0.push(setting);
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    fn cpuset(&mut self, limits: &Limits) {
        if let Some(list) = &limits.cpuset_cpus {
            self.ask("the CPUs to run on", Controller::Cpuset, "cpuset.cpus", list.to_string());
        }
        if let Some(list) = &limits.cpuset_mems {
            self.ask("the memory nodes", Controller::Cpuset, "cpuset.mems", list.to_string());
        }
    }

    fn pids(&mut self, limits: &Limits) {
        let (ceiling, lack) = match limits.pids {
            None => return,
            Some(Pids::Asked(ceiling)) => (ceiling, Lack::Fails),
            Some(Pids::Default(limit)) => {
                (Ceiling::At(limit), Lack::Told(Told::NoPidsLimit { limit }))
            }
        };
        let value = or(ceiling, "max");
        self.ask("the limit on processes", Controller::Pids, "pids.max", value).lack = lack;
    }
}

fn or(ceiling: Ceiling, unlimited: &str) -> String {
    match ceiling {
        Ceiling::Unlimited => unlimited.to_owned(),
        Ceiling::At(n) => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CpuQuota;

    fn files(settings: &[Setting]) -> Vec<(&str, &str)> {
        settings.iter().map(|s| (s.file.as_ref(), s.value.as_str())).collect()
    }

    #[test]
    fn all_limits_in_the_terms_of_each_version() {
        let limits = Limits {
            memory: Some(Ceiling::At(100)),
            memory_swap: Some(Ceiling::At(150)),
            memory_reservation: Some(Ceiling::At(50)),
            cpu_quota: Some(CpuQuota::from_nanocpus(500_000_000).unwrap()),
            cpu_shares: Some(1),
            cpuset_cpus: Some("0-1".parse().unwrap()),
            cpuset_mems: Some("0".parse().unwrap()),
            pids: Some(Pids::Asked(Ceiling::At(9))),
            ..Limits::default()
        };
        assert_eq!(
            files(&v1(&limits).unwrap()),
            [
                ("memory.limit_in_bytes", "100"),
                ("memory.memsw.limit_in_bytes", "150"),
                ("memory.soft_limit_in_bytes", "50"),
                ("cpu.shares", "2"),
                ("cpu.cfs_period_us", "100000"),
                ("cpu.cfs_quota_us", "50000"),
                ("cpuset.cpus", "0-1"),
                ("cpuset.mems", "0"),
                ("pids.max", "9"),
            ]
        );
        assert_eq!(
            files(&v2(&limits).unwrap()),
            [
                ("memory.max", "100"),
                ("memory.swap.max", "50"),
                ("memory.low", "50"),
                ("cpu.weight", "1"),
                ("cpu.max", "50000 100000"),
                ("cpuset.cpus", "0-1"),
                ("cpuset.mems", "0"),
                ("pids.max", "9"),
            ]
        );
    }

    #[test]
    fn unlimited_in_the_terms_of_each_version() {
        let limits = Limits {
            memory: Some(Ceiling::Unlimited),
            cpu_quota: Some(CpuQuota::new(Ceiling::Unlimited, 50_000).unwrap()),
            pids: Some(Pids::Asked(Ceiling::Unlimited)),
            ..Limits::default()
        };
        let one = v1(&limits).unwrap();
        assert_eq!(
            files(&one),
            [
                ("memory.limit_in_bytes", "-1"),
                ("memory.memsw.limit_in_bytes", "-1"),
                ("cpu.cfs_period_us", "50000"),
                ("cpu.cfs_quota_us", "-1"),
                ("pids.max", "max"),
            ]
        );
        assert_eq!(one[1].lack, Lack::Nothing);
        assert_eq!(
            files(&v2(&limits).unwrap()),
            [
                ("memory.max", "max"),
                ("memory.swap.max", "max"),
                ("cpu.max", "max 50000"),
                ("pids.max", "max"),
            ]
        );
    }

    #[test]
    fn a_file_is_set_back_to_what_it_said() {
        assert_eq!(Undo::FirstLine.value("default 100\n8:0 50\n"), "default 100\n");
        assert_eq!(Undo::FirstLine.value(""), "\n");
        let line = Undo::Line { key: "8:0".into(), reset: "8:0 0".into() };
        assert_eq!(line.value("8:01 5\n8:0 7\n"), "8:0 7");
        assert_eq!(line.value("8:01 5\n"), "8:0 0");
        let oom = Undo::Number("oom_kill_disable");
        assert_eq!(oom.value("oom_kill_disable 1\nunder_oom 0\n"), "1");
    }

    #[test]
    fn only_a_default_may_be_missing() {
        let limits = Limits { pids: Some(Pids::Default(7)), ..Limits::default() };
        let told = Lack::Told(Told::NoPidsLimit { limit: 7 });
        assert_eq!(v2(&limits).unwrap()[0].lack, told);
        assert_eq!(v1(&limits).unwrap()[0].lack, told);
        assert!(v1(&Limits::default()).unwrap().is_empty());
    }
}
