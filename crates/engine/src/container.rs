//! A container as it was found.

use std::time::Duration;

use oci_spec::runtime::Spec;
use sandbar_spec::layout::{ContainerDirectory, PodDirectory};
use sandbar_spec::{
    Connection, ContainerConfig, ContainerId, ContainerState, ContainerStatus, ExitCode, PodConfig,
    PodStatus,
};
use sandbar_supervisor::read_record;
use sandbar_sys::{process_lives, process_start};

use crate::error::{Error, Kind};
use crate::log::Log;

/// A container as it was when it was looked up.
#[derive(Debug, Clone)]
pub struct Container {
    /// What it is asked to be.
    pub config: ContainerConfig,
    /// What it is: what its supervisor last wrote, corrected where no process is behind it any more.
    pub status: ContainerStatus,
    /// Its pod.
    pub pod: PodConfig,
    /// The networks that its pod is on, if it shares them.
    pub connections: Vec<Connection>,
    /// Its directory, which is its OCI bundle.
    pub directory: ContainerDirectory,
}

impl Container {
    /// Reads a container; `None` if it is half made or half removed.
    pub(crate) fn read(
        pod: &PodDirectory,
        id: &ContainerId,
        config_of_pod: &PodConfig,
        connections: &[Connection],
    ) -> Result<Option<Self>, Error> {
        let directory = pod.container(id);
        let Some(config) = read_record::<ContainerConfig>(&directory.config())? else {
            return Ok(None);
        };
        let status = true_status(pod, &directory)?;
        let connections = match config.shares_pod_network() {
            true => connections.to_vec(),
            false => Vec::new(),
        };
        Ok(Some(Self { config, status, pod: config_of_pod.clone(), connections, directory }))
    }

    /// Whether it is the pause that its pod was made with.
    #[must_use]
    pub fn is_pause(&self) -> bool {
        self.pod.pause.as_ref() == Some(&self.config.id)
    }

    /// Whether its process runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.status.state == ContainerState::Running
    }

    /// Whether its process runs, or will again by itself.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.status.state, ContainerState::Running | ContainerState::Restarting)
    }

    /// Opens its log.
    ///
    /// # Errors
    /// What open(2) gives.
    pub fn log(&self) -> Result<Log, Error> {
        Log::open(&self.config.log_path)
    }

    /// The configuration of its OCI bundle.
    ///
    /// # Errors
    /// [`Kind::System`] if it is gone or is not what it must be.
    pub fn spec(&self) -> Result<Spec, Error> {
        let path = self.directory.bundle();
        read_record(&path)?
            .ok_or_else(|| Error::new(Kind::System, format!("{} is gone", path.display())))
    }
}

/// A container's status as its supervisor last wrote it; but a process that is no more does not run, and who
/// saw it end is nobody.
fn true_status(
    pod: &PodDirectory,
    container: &ContainerDirectory,
) -> Result<ContainerStatus, Error> {
    let read = || -> Result<ContainerStatus, Error> {
        Ok(read_record(&container.status())?.unwrap_or_default())
    };
    let mut status = read()?;
    for _ in 0..20 {
        let lives = match status.state {
            ContainerState::Created | ContainerState::Exited => return Ok(status),
            ContainerState::Running => {
                status.pid.is_some_and(|pid| process_lives(pid, status.pid_start))
            }
            ContainerState::Restarting => false,
        };
        if lives {
            return Ok(status);
        }
        let supervisor =
            read_record::<PodStatus>(&pod.status())?.and_then(|status| status.supervisor);
        match supervisor.filter(|&supervisor| process_start(supervisor).is_some()) {
            None => break,
            Some(_) if status.state == ContainerState::Restarting => return Ok(status),
            // It ended this instant: its supervisor is about to write how.
            Some(_) => std::thread::sleep(Duration::from_millis(2)),
        }
        status = read()?;
    }
    if status.state == ContainerState::Running {
        status.exit_code = Some(ExitCode::Unknown);
    }
    status.state = ContainerState::Exited;
    status.pid = None;
    status.pid_start = None;
    Ok(status)
}
