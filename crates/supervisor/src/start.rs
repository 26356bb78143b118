//! Starting containers.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sandbar_runtime::{Checked, Container, Event, Kind, PidNamespace, Placement, Starting, Stdio};
use sandbar_spec::control::{Failure, Reply};
use sandbar_spec::layout::ContainerDirectory;
use sandbar_spec::{ContainerConfig, ContainerId, ContainerState, ExitCode, NamespaceMode, Rootfs};
use sandbar_sys::During;

use crate::limits;
use crate::log::{Log, StreamName};
use crate::member::{Launch, Member, Phase, Running};
use crate::namespaces::SandboxNamespaces;
use crate::poll::{Serial, Token};
use crate::streams::{Stream, open_fifo};
use crate::supervisor::Supervisor;
use crate::{Error, cgroups};

impl Supervisor {
    /// Starts each queued container whose turn has come: pause first where its namespace is joined.
    pub(crate) fn start_what_is_queued(&mut self) {
        let queued: Vec<ContainerId> = self
            .members
            .iter()
            .filter(|(_, member)| matches!(member.phase, Phase::Queued(..)))
            .map(|(id, _)| id.clone())
            .collect();
        for id in queued {
            if self.must_wait_for_pause(&id) {
                continue;
            }
            let Some(member) = self.members.get_mut(&id) else { continue };
            let Phase::Queued(client, input) = std::mem::replace(&mut member.phase, Phase::Idle)
            else {
                continue;
            };
            let again = input.as_ref().and_then(|input| input.try_clone().ok());
            match self.launch(&id, client, input) {
                Ok(()) => {}
                // Pause is just ending: when it is back, this one's turn comes.
                Err(error) if error.errno() == Some(Errno::SRCH) && self.pause_is_ending(&id) => {
                    if let Some(member) = self.members.get_mut(&id) {
                        member.phase = Phase::Queued(client, again);
                    }
                }
                Err(error) => self.start_failed(&id, client, Failure::Other, &error.one_line()),
            }
        }
    }

    /// Whether `id` joins a pause that has ended without that being noticed yet, and that will come back.
    fn pause_is_ending(&self, id: &ContainerId) -> bool {
        let pause = self.config.pause.as_ref().and_then(|pause| self.members.get(pause));
        self.stopping.is_none()
            && self.members.get(id).is_some_and(Member::joins_pause)
            && pause.and_then(Member::running).is_some_and(|running| !running.asked_to_end)
    }

    /// Whether `id` joins pause's PID namespace and pause does not run yet; then pause is started, if the
    /// pod is one that has a pause of its own.
    fn must_wait_for_pause(&mut self, id: &ContainerId) -> bool {
        let Some(pause) = self.config.pause.clone().filter(|pause| pause != id) else {
            return false;
        };
        if !self.config.implicit && self.know(&pause).is_ok() {
            let idle = self
                .members
                .get(&pause)
                .is_some_and(|member| matches!(member.phase, Phase::Idle | Phase::Restarting(_)));
            if idle && let Err(error) = self.launch(&pause, None, None) {
                self.start_failed(&pause, None, Failure::Other, &error.one_line());
                return false;
            }
        }
        let joins = self.members.get(id).is_some_and(Member::joins_pause);
        joins
            && self.members.get(&pause).is_some_and(|member| {
                matches!(member.phase, Phase::Starting(_) | Phase::Restarting(_))
            })
    }

    /// Clones a container's first process.
    pub(crate) fn launch(
        &mut self,
        id: &ContainerId,
        client: Option<Serial>,
        input: Option<OwnedFd>,
    ) -> Result<(), Error> {
        let Some(member) = self.members.get(id) else {
            return Err(Error::new(format!("no container {id}")));
        };
        let config = member.config.clone();
        let directory = member.directory.clone();
        let mut told = Vec::new();
        let entry = match &self.hierarchy {
            Some(hierarchy) => {
                let path = cgroups::container_cgroup(&self.config.id, id)?;
                // Of a start that was cut short together with the supervisor that made it.
                self.clear_cgroup(id);
                let created =
                    hierarchy.create(&path, &cgroups::limits(hierarchy, &config.limits)?)?;
                told.extend(created.told.iter().map(ToString::to_string));
                Some(created.cgroup.entry()?)
            }
            None => {
                told.push("no cgroup file system is mounted: limits are not enforced".into());
                None
            }
        };
        let log = Log::open(&config.log_path)?;
        let mut streams = Vec::new();
        if !config.terminal {
            for name in [StreamName::Stdout, StreamName::Stderr] {
                streams.push(Stream::open(&directory, name, &mut self.poll)?);
            }
        }
        let pid_of = |mode: &NamespaceMode| self.process_of(mode);
        let joined = match &config.namespaces.pid {
            NamespaceMode::Pod | NamespaceMode::Container(_) => {
                Some(self.pidfd_of(&config.namespaces.pid)?)
            }
            NamespaceMode::Host | NamespaceMode::Private => None,
        };
        let placement = Placement {
            pid_namespace: match (&joined, &config.namespaces.pid) {
                (Some(pidfd), _) => PidNamespace::Of(pidfd.as_fd()),
                (None, NamespaceMode::Host) => PidNamespace::Inherited,
                (None, _) => PidNamespace::New,
            },
            into_cgroup: entry
                .as_ref()
                .and_then(|entry| entry.clone_into.as_ref().map(AsFd::as_fd)),
            cgroup_tasks: entry
                .iter()
                .flat_map(|entry| entry.tasks.iter().map(AsFd::as_fd))
                .collect(),
        };
        // The bundle is read by the child, so that what that allocates is never this process's.
        let starting = sandbar_runtime::start(&placement, || {
            prepare(&directory, &config, &self.namespaces, pid_of, input, self.descriptors)
                .map_err(|error| sandbar_runtime::Error::preparation(error.one_line()))
        })?;
        let serial = self.poll.serial();
        rustix::io::ioctl_fionbio(&starting, true).during("ioctl", || "FIONBIO".into())?;
        self.poll.watch(&starting, Token::Starting(serial))?;
        if let Some(member) = self.members.get_mut(id) {
            member.log = Some(log);
            member.streams = streams;
            member.phase = Phase::Starting(Launch { serial, starting, client, told });
        }
        Ok(())
    }

    /// The container that is being started under `serial`.
    fn starting(&self, serial: Serial) -> Option<ContainerId> {
        let found = self.members.iter().find(|(_, member)| {
            matches!(&member.phase, Phase::Starting(launch) if launch.serial == serial)
        });
        found.map(|(id, _)| id.clone())
    }

    /// Reads what a starting process reports.
    pub(crate) fn read_starting(&mut self, serial: Serial) {
        match self.starting(serial) {
            Some(id) => self.follow_start(&id),
            None => self.follow_exec(serial),
        }
    }

    /// Follows a start as far as it has come.
    pub(crate) fn follow_start(&mut self, id: &ContainerId) {
        loop {
            let Some(member) = self.members.get_mut(id) else { return };
            let Phase::Starting(launch) = &mut member.phase else { return };
            match launch.starting.next_event() {
                Err(failure) if failure.errno() == Errno::AGAIN => return,
                Ok(Event::Told(text)) => launch.told.push(text),
                Ok(Event::Terminal(terminal)) => {
                    if let Ok(stream) = Stream::terminal(terminal.as_fd(), &mut self.poll) {
                        member.streams.push(stream);
                    }
                    member.terminal = Some(terminal);
                }
                // Of a container with a gate.
                Ok(Event::Prepared | Event::Created) => {}
                Ok(Event::Running) => return self.started(id),
                Ok(Event::Failed(error)) => {
                    let kind = match error.kind() {
                        Kind::CommandNotFound => Failure::CommandNotFound,
                        Kind::CommandNotExecutable => Failure::CommandNotExecutable,
                        _ => Failure::Other,
                    };
                    let client = launch.client;
                    return self.start_failed(id, client, kind, &error.one_line());
                }
                Err(failure) => {
                    let client = launch.client;
                    return self.start_failed(id, client, Failure::Other, &failure.to_string());
                }
            }
        }
    }

    /// Its program runs.
    fn started(&mut self, id: &ContainerId) {
        let Some(member) = self.members.get_mut(id) else { return };
        let Phase::Starting(launch) = std::mem::replace(&mut member.phase, Phase::Idle) else {
            return;
        };
        let Launch { starting, client, told, .. } = launch;
        self.poll.forget(&starting);
        let Starting { pid, pidfd, .. } = starting;
        member.note_running(pid);
        member.phase = Phase::Running(Running {
            pid,
            pidfd,
            since: Instant::now(),
            deadline: None,
            asked_to_end: false,
            adopted: None,
        });
        let terminal = member
            .terminal
            .as_ref()
            .and_then(|terminal| rustix::io::fcntl_dupfd_cloexec(terminal, 3).ok());
        let saved = member.save();
        if let Some(client) = client {
            let pid = pid.as_raw_nonzero().get();
            match saved {
                Ok(()) => {
                    let terminal: Vec<_> = terminal.iter().map(AsFd::as_fd).collect();
                    self.reply(client, &Reply::Started { pid, told }, &terminal);
                }
                Err(error) => self.fail(client, Failure::Other, error.one_line()),
            }
        }
        self.end_if_wanted(id);
        if self.config.pause.as_ref() == Some(id) {
            self.start_what_is_queued();
        }
    }

    /// It could not be started: what was made for it goes.
    pub(crate) fn start_failed(
        &mut self,
        id: &ContainerId,
        client: Option<Serial>,
        kind: Failure,
        message: &str,
    ) {
        let Some(member) = self.members.get_mut(id) else { return };
        // A child that failed is ending by itself; its status is collected with those of all others.
        if let Phase::Starting(launch) = std::mem::replace(&mut member.phase, Phase::Idle) {
            self.poll.close(launch.starting);
        }
        member.end_wanted = None;
        let code = match kind {
            Failure::CommandNotFound => 127,
            Failure::CommandNotExecutable => 126,
            _ => 125,
        };
        member.status.error = Some(message.to_owned());
        member.status.exit_code = Some(ExitCode::Known(code));
        if member.status.state != ContainerState::Created {
            member.status.state = ContainerState::Exited;
        }
        // Who asked for the start learns of its failure, not of an end.
        member.waiters.retain(|waiter| Some(waiter.client) != client);
        self.clear_cgroup(id);
        self.let_go(id);
        if let Some(client) = client {
            self.fail(client, kind, message);
        }
        // Who waits for pause waits in vain.
        if self.config.pause.as_ref() == Some(id) {
            self.fail_what_waits_for_pause(message);
        }
    }

    fn fail_what_waits_for_pause(&mut self, message: &str) {
        let waiting: Vec<ContainerId> = self
            .members
            .iter()
            .filter(|(_, member)| member.joins_pause() && matches!(member.phase, Phase::Queued(..)))
            .map(|(id, _)| id.clone())
            .collect();
        for id in waiting {
            let Some(member) = self.members.get_mut(&id) else { continue };
            if let Phase::Queued(client, _) = std::mem::replace(&mut member.phase, Phase::Idle) {
                let message = format!("the pod's pause could not be started: {message}");
                self.start_failed(&id, client, Failure::Other, &message);
            }
        }
    }

    /// Starts again what is due at `now`.
    pub(crate) fn restart_what_is_due(&mut self, now: Instant) {
        let due: Vec<ContainerId> = self
            .members
            .iter()
            .filter(|(_, member)| matches!(member.phase, Phase::Restarting(at) if at <= now))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            let joins_pause = self.members.get(&id).is_some_and(Member::joins_pause);
            let pause_runs = self
                .config
                .pause
                .as_ref()
                .and_then(|pause| self.members.get(pause))
                .is_none_or(|pause| pause.running().is_some());
            let Some(member) = self.members.get_mut(&id) else { continue };
            if joins_pause && !pause_runs {
                member.phase = Phase::Restarting(now + Duration::from_millis(20));
                continue;
            }
            member.status.restarts += 1;
            member.phase = Phase::Idle;
            if let Err(error) = self.launch(&id, None, None) {
                self.start_failed(&id, None, Failure::Other, &error.one_line());
            }
        }
    }

    /// The container that a mode means: pause for the pod's.
    fn member_of(&self, mode: &NamespaceMode) -> Result<&Running, Error> {
        let id = match mode {
            NamespaceMode::Container(id) => Some(id),
            NamespaceMode::Pod => self.config.pause.as_ref(),
            NamespaceMode::Private | NamespaceMode::Host => None,
        };
        let member = id.and_then(|id| self.members.get(id));
        member.and_then(Member::running).ok_or_else(|| {
            let name =
                member.map_or_else(|| "pause".to_owned(), |member| member.config.name.to_string());
            Error::new(format!(
                "container {name}, whose namespaces are to be shared, is not running"
            ))
        })
    }

    fn process_of(&self, mode: &NamespaceMode) -> Result<i32, Error> {
        Ok(self.member_of(mode)?.pid.as_raw_nonzero().get())
    }

    fn pidfd_of(&self, mode: &NamespaceMode) -> Result<OwnedFd, Error> {
        rustix::io::fcntl_dupfd_cloexec(&self.member_of(mode)?.pidfd, 3)
            .during("fcntl", || "F_DUPFD".into())
            .map_err(Error::from)
    }
}

/// What the child is to become; runs in the child.
fn prepare(
    directory: &ContainerDirectory,
    config: &ContainerConfig,
    namespaces: &SandboxNamespaces,
    process_of: impl Fn(&NamespaceMode) -> Result<i32, Error>,
    input: Option<OwnedFd>,
    descriptors: Option<u64>,
) -> Result<Container, Error> {
    let path = directory.bundle();
    let mut spec: Spec = crate::read_record(&path)?
        .ok_or_else(|| Error::new(format!("{} is gone", path.display())))?;
    namespaces.write_to(&mut spec, config, process_of)?;
    if let Some(process) = spec.process_mut() {
        limits::of_descriptors(process, descriptors)?;
    }
    let stdio = if config.terminal {
        Stdio::Terminal
    } else {
        let input = match input {
            Some(input) => input,
            None => open_null()?,
        };
        let stream =
            |name: StreamName| open_fifo(&directory.stream(name.as_str()), OFlags::empty());
        Stdio::Descriptors([input, stream(StreamName::Stdout)?, stream(StreamName::Stderr)?])
    };
    Ok(Container {
        spec: Checked::new(spec)?,
        rootfs: match &config.rootfs {
            Rootfs::ReadOnly(path) => sandbar_runtime::Rootfs::ReadOnly(path.clone()),
            Rootfs::Overlay { lower, upper, work } => sandbar_runtime::Rootfs::Overlay {
                lower: lower.clone(),
                upper: upper.clone(),
                work: work.clone(),
                volatile: config.auto_remove,
            },
        },
        mount_point: directory.mount_point(),
        stdio,
        seccomp: true,
        pivot: true,
        gate: None,
        preserved_descriptors: 0,
        new_keyring: true,
        state: None,
    })
}

fn open_null() -> Result<OwnedFd, Error> {
    let path = Path::new("/dev/null");
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .during("open", || path.display().to_string())
        .map_err(Error::from)
}
