//! `sandbar oci events`.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use super::record::{Directory, Status};
use super::{Context, consumption};
use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};
use crate::output;

/// Show what a container uses, again and again, and when it runs out of memory
#[derive(Debug, clap::Args)]
pub(super) struct Events {
    /// So many seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = interval)]
    interval: Duration,
    /// Once
    #[arg(long)]
    stats: bool,
    /// The container's id
    id: String,
}

/// Whole seconds, as `5` or `5s`.
fn interval(text: &str) -> std::result::Result<Duration, String> {
    let seconds = text.strip_suffix('s').unwrap_or(text).parse().ok().filter(|it| *it > 0);
    seconds.map(Duration::from_secs).ok_or_else(|| "seconds are needed, as 5 or 5s".to_owned())
}

impl Events {
    pub(super) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("watch container {}", self.id);
        let directory = Directory::new(&context.root, &self.id)?;
        let record = directory.record()?;
        let cgroup = record.cgroup.cgroup()?;
        if directory.status(&record) == Status::Stopped {
            return Err(Failure::new(format!("cannot {action}: container not running")));
        }
        let mut out_of_memory = cgroup.oom_kills().doing(&action)?;
        loop {
            let data = consumption::json(&cgroup.usage().doing(&action)?);
            output::line(json!({ "type": "stats", "id": self.id, "data": data }))?;
            if self.stats {
                return Ok(Exit::SUCCESS);
            }
            sleep(self.interval);
            if directory.status(&record) == Status::Stopped {
                return Ok(Exit::SUCCESS);
            }
            let now = cgroup.oom_kills().doing(&action)?;
            if now > out_of_memory {
                output::line(json!({ "type": "oom", "id": self.id }))?;
                out_of_memory = now;
            }
        }
    }
}
