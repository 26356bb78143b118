//! `sandbar oci pause` and `resume`.

use super::record::{Directory, Status};
use super::{Context, cgroups};
use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};

/// Stop all processes of a container
#[derive(Debug, clap::Args)]
pub(super) struct Pause {
    /// The container's id
    id: String,
}

/// Let the processes of a paused container go on
#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    /// The container's id
    id: String,
}

impl Pause {
    pub(super) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("pause container {}", self.id);
        let cgroup = cgroup(context, &self.id, &action, &[Status::Running, Status::Created])?;
        cgroup.freeze(cgroups::PATIENCE).doing(action)?;
        Ok(Exit::SUCCESS)
    }
}

impl Resume {
    pub(super) fn execute(self, context: &Context) -> Result<Exit> {
        let action = format!("resume container {}", self.id);
        cgroup(context, &self.id, &action, &[Status::Paused])?.thaw().doing(action)?;
        Ok(Exit::SUCCESS)
    }
}

/// The cgroup of a container that has one of `states`.
fn cgroup(
    context: &Context,
    id: &str,
    action: &str,
    states: &[Status],
) -> Result<sandbar_cgroup::Cgroup> {
    let directory = Directory::new(&context.root, id)?;
    let record = directory.record()?;
    let status = directory.status(&record);
    if !states.contains(&status) {
        return Err(Failure::new(format!("cannot {action}: it is {}", status.as_str())));
    }
    record.cgroup.cgroup()
}
