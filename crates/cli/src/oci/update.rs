//! `sandbar oci update`.

use std::io::Read;
use std::path::{Path, PathBuf};

use sandbar_spec::Bytes;
use serde_json::{Value, json};

use super::record::{Directory, Status};
use super::{Context, cgroups};
use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};

/// Change the limits of a container
#[derive(Debug, clap::Args)]
pub(super) struct Update {
    /// Read linux.resources from this file, or - for standard input
    #[arg(short, long, value_name = "FILE")]
    resources: Option<PathBuf>,
    /// Weight of its block device I/O, 10 to 1000
    #[arg(long, value_name = "WEIGHT")]
    blkio_weight: Option<u16>,
    /// The period of --cpu-quota, in microseconds
    #[arg(long, value_name = "TIME")]
    cpu_period: Option<u64>,
    /// CPU time in each period, in microseconds; -1: all
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    cpu_quota: Option<i64>,
    /// CPU time that may be saved up, in microseconds
    #[arg(long, value_name = "TIME")]
    cpu_burst: Option<u64>,
    /// The period of --cpu-rt-runtime, in microseconds
    #[arg(long, value_name = "TIME")]
    cpu_rt_period: Option<u64>,
    /// Realtime CPU time in each period, in microseconds
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    cpu_rt_runtime: Option<i64>,
    /// Weight against others when CPUs are short
    #[arg(long, value_name = "SHARES")]
    cpu_share: Option<u64>,
    /// 1: run only when nothing else does
    #[arg(long, value_name = "0|1")]
    cpu_idle: Option<i64>,
    /// CPUs to run on, as 0-3,7
    #[arg(long, value_name = "CPUS")]
    cpuset_cpus: Option<String>,
    /// Memory nodes to allocate from
    #[arg(long, value_name = "NODES")]
    cpuset_mems: Option<String>,
    /// Memory, in bytes or with a unit; -1: all
    #[arg(short, long, value_name = "SIZE", allow_negative_numbers = true)]
    memory: Option<Size>,
    /// Memory that is not reclaimed first
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    memory_reservation: Option<Size>,
    /// Memory and swap together
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    memory_swap: Option<Size>,
    /// The number of processes and threads; -1: any
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    pids_limit: Option<i64>,
    /// The container's id
    id: String,
}

/// A size in bytes, or -1 for any.
#[derive(Debug, Clone, Copy)]
struct Size(i64);

impl std::str::FromStr for Size {
    type Err = sandbar_spec::Invalid;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        if text == "-1" {
            return Ok(Self(-1));
        }
        let bytes: Bytes = text.parse()?;
        // More than there can be is all there is.
        Ok(Self(i64::try_from(bytes.0).unwrap_or(i64::MAX)))
    }
}

impl Update {
    pub(super) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("update container {}", self.id);
        let directory = Directory::new(&context.root, &self.id)?;
        let record = directory.record()?;
        if matches!(directory.status(&record), Status::Stopped | Status::Creating) {
            return Err(Failure::new(format!("cannot {action}: container not running")));
        }
        let resources = match &self.resources {
            Some(path) => read(path)?,
            None => super::json::read("the options", self.asked().to_string().as_bytes())?,
        };
        let limits = cgroups::limits(&resources)?;
        let told = cgroups::set_limits(&record, &limits, &action)?;
        told.iter().for_each(|told| context.log.warn(&told.to_string()));
        Ok(Exit::SUCCESS)
    }

    /// The options as the specification's `linux.resources`.
    fn asked(&self) -> Value {
        let size = |size: Option<Size>| size.map(|size| size.0);
        let mut resources = json!({
            "memory": {
                "limit": size(self.memory),
                "reservation": size(self.memory_reservation),
                "swap": size(self.memory_swap),
            },
            "cpu": {
                "shares": self.cpu_share, "quota": self.cpu_quota, "period": self.cpu_period,
                "burst": self.cpu_burst, "idle": self.cpu_idle,
                "realtimeRuntime": self.cpu_rt_runtime, "realtimePeriod": self.cpu_rt_period,
                "cpus": self.cpuset_cpus, "mems": self.cpuset_mems,
            },
            "pids": { "limit": self.pids_limit },
            "blockIO": { "weight": self.blkio_weight },
        });
        // What was not asked for is left out, not null.
        for part in resources.as_object_mut().into_iter().flatten() {
            if let Some(fields) = part.1.as_object_mut() {
                fields.retain(|_, value| !value.is_null());
            }
        }
        if let Some(parts) = resources.as_object_mut() {
            parts.retain(|_, part| part.as_object().is_some_and(|fields| !fields.is_empty()));
        }
        resources
    }
}

fn read(path: &Path) -> Result<oci_spec::runtime::LinuxResources> {
    let action = || format!("read {}", path.display());
    let mut text = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut text).doing(action())?;
    } else {
        text = std::fs::read(path).doing(action())?;
    }
    super::json::read(path.display(), &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        update: Update,
    }

    #[test]
    fn only_what_was_asked_for_is_changed() {
        let line = "x --memory 64m --memory-swap -1 --pids-limit 7 --cpu-quota -1 a";
        let update = Line::try_parse_from(line.split(' ')).unwrap().update;
        assert_eq!(
            update.asked(),
            json!({
                "memory": { "limit": 64 << 20, "swap": -1 }, "pids": { "limit": 7 }, "cpu": { "quota": -1 },
            })
        );
        assert!(Line::try_parse_from(["x", "--memory", "lots", "a"]).is_err());
    }
}
