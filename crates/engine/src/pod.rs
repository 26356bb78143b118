//! A pod as it was found.

use std::fmt;

use sandbar_spec::layout::PodDirectory;
use sandbar_spec::{Connection, ContainerState, PodConfig, PodStatus};
use sandbar_supervisor::read_record;

use crate::container::Container;
use crate::error::Error;

/// A pod as it was when it was looked up.
#[derive(Debug, Clone)]
pub struct Pod {
    /// What it is asked to be.
    pub config: PodConfig,
    /// What its supervisor last wrote.
    pub status: PodStatus,
    /// The networks that it is on, in the order in which it was put on them.
    pub connections: Vec<Connection>,
    /// Its containers, pause among them.
    pub containers: Vec<Container>,
}

/// Where a pod is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodState {
    /// Nothing of it was ever started.
    Created,
    /// All its containers run.
    Running,
    /// Some of its containers run.
    Degraded,
    /// None of its containers runs any more.
    Exited,
}

impl Pod {
    /// Reads the pod in `directory`; `None` if there is none, or it is half made or half removed.
    pub(crate) fn read(directory: &PodDirectory) -> Result<Option<Self>, Error> {
        let Some(config) = read_record::<PodConfig>(&directory.config())? else { return Ok(None) };
        let status = read_record(&directory.status())?.unwrap_or_default();
        let connections = connections(directory)?;
        let mut containers = Vec::new();
        for entry in std::fs::read_dir(directory.containers()).into_iter().flatten().flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // One whose records are broken hides no other; `pod rm -f` clears it.
            let container = Container::read(directory, &id, &config, &connections);
            containers.extend(container.unwrap_or_default());
        }
        containers.sort_by_key(|container| container.config.created_at);
        Ok(Some(Self { config, status, connections, containers }))
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> PodState {
        let is = |state| move |container: &&Container| container.status.state == state;
        let all = self.containers.len();
        let running = self.containers.iter().filter(is(ContainerState::Running)).count();
        let created = self.containers.iter().filter(is(ContainerState::Created)).count();
        match running {
            0 if created == all => PodState::Created,
            0 => PodState::Exited,
            _ if running == all => PodState::Running,
            _ => PodState::Degraded,
        }
    }
}

/// The networks that the pod in `directory` is on.
pub(crate) fn connections(directory: &PodDirectory) -> Result<Vec<Connection>, Error> {
    Ok(read_record(&directory.networks())?.unwrap_or_default())
}

impl fmt::Display for PodState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Created => "Created",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
            Self::Exited => "Exited",
        })
    }
}
