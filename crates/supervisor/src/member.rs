//! A container in its supervisor's eyes.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use sandbar_runtime::Starting;
use sandbar_spec::layout::ContainerDirectory;
use sandbar_spec::{ContainerConfig, ContainerState, ContainerStatus, NamespaceMode};

use crate::Error;
use crate::log::Log;
use crate::poll::Serial;
use crate::record::replace_record;
use crate::streams::Stream;

/// The first wait before a restart; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait before a restart.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A container that ran for so long is not failing at its start: its next wait is the first again.
const RAN_WELL: Duration = Duration::from_secs(10);

/// A container of the pod.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) config: ContainerConfig,
    pub(crate) status: ContainerStatus,
    pub(crate) directory: ContainerDirectory,
    pub(crate) phase: Phase,
    pub(crate) log: Option<Log>,
    pub(crate) streams: Vec<Stream>,
    /// The other end of its terminal.
    pub(crate) terminal: Option<OwnedFd>,
    /// The clients that asked to be told how it ends.
    pub(crate) waiters: Vec<Waiter>,
    /// The clients for whom it stands still.
    pub(crate) holders: Vec<Serial>,
    /// The wait before its next restart.
    pub(crate) wait: Duration,
    /// Somebody asked for its end before it ran: how many seconds it then has (its own time if none).
    pub(crate) end_wanted: Option<Option<u32>>,
}

/// A client that asked to be told how a container ends.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) client: Serial,
    /// Signalled when the container has printed something.
    pub(crate) printed: Option<OwnedFd>,
}

/// Where a container is, from the supervisor's side.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Nothing of it runs.
    Idle,
    /// It starts when pause runs; for whom, and with what standard input.
    Queued(Option<Serial>, Option<OwnedFd>),
    /// Its process is on the way to its program.
    Starting(Launch),
    /// Its process runs.
    Running(Running),
    /// It is started again at this time.
    Restarting(Instant),
}

/// A process on its way.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) serial: Serial,
    pub(crate) starting: Starting,
    pub(crate) client: Option<Serial>,
    pub(crate) told: Vec<String>,
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    pub(crate) since: Instant,
    /// When it gets SIGKILL.
    pub(crate) deadline: Option<Instant>,
    /// Whether somebody asked for its end, and so no policy brings it back.
    pub(crate) asked_to_end: bool,
    /// The number under which it is watched, if it is not a child of ours.
    pub(crate) adopted: Option<Serial>,
}

impl Member {
    pub(crate) fn new(
        config: ContainerConfig,
        status: ContainerStatus,
        directory: ContainerDirectory,
    ) -> Self {
        Self {
            config,
            status,
            directory,
            phase: Phase::Idle,
            log: None,
            streams: Vec::new(),
            terminal: None,
            waiters: Vec::new(),
            holders: Vec::new(),
            wait: FIRST_WAIT,
            end_wanted: None,
        }
    }

    /// Its running process.
    pub(crate) fn running(&self) -> Option<&Running> {
        match &self.phase {
            Phase::Running(running) => Some(running),
            _ => None,
        }
    }

    /// The same, to change.
    pub(crate) fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.phase {
            Phase::Running(running) => Some(running),
            _ => None,
        }
    }

    /// Whether anything of it runs or is about to.
    pub(crate) const fn is_active(&self) -> bool {
        !matches!(self.phase, Phase::Idle)
    }

    /// The process that it was last cloned as.
    pub(crate) fn pid(&self) -> Option<Pid> {
        match &self.phase {
            Phase::Starting(launch) => Some(launch.starting.pid),
            Phase::Running(running) => Some(running.pid),
            _ => None,
        }
    }

    /// When something is to be done about it.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Running(running) => running.deadline,
            Phase::Restarting(at) => Some(*at),
            _ => None,
        }
    }

    /// Tells those who follow its log that it has grown.
    pub(crate) fn tell_of_output(&self) {
        for printed in self.waiters.iter().filter_map(|waiter| waiter.printed.as_ref()) {
            // A counter that is full has told already.
            let _told = rustix::io::write(printed, &1_u64.to_ne_bytes());
        }
    }

    /// Whether it is in its pod's shared PID namespace, which pause makes.
    pub(crate) fn joins_pause(&self) -> bool {
        self.config.namespaces.pid == NamespaceMode::Pod
    }

    /// Writes its status to disk.
    pub(crate) fn save(&self) -> Result<(), Error> {
        replace_record(&self.directory.status(), &self.status)
    }

    /// The wait before a restart now, after a run of `ran`.
    pub(crate) fn next_wait(&mut self, ran: Duration) -> Duration {
        if ran >= RAN_WELL {
            self.wait = FIRST_WAIT;
        }
        let wait = self.wait;
        self.wait = (wait * 2).min(LONGEST_WAIT);
        wait
    }

    /// Notes that its process runs.
    pub(crate) fn note_running(&mut self, pid: Pid) {
        let pid = pid.as_raw_nonzero().get();
        self.status = ContainerStatus {
            state: ContainerState::Running,
            pid: Some(pid),
            pid_start: sandbar_sys::process_start(pid),
            started_at: Some(jiff::Timestamp::now()),
            finished_at: None,
            exit_code: None,
            error: None,
            oom_killed: false,
            restarts: self.status.restarts,
        };
    }
}
