//! The supervisor: its state and its loop.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sandbar_cgroup::Hierarchy;
use sandbar_spec::control::Reply;
use sandbar_spec::layout::PodDirectory;
use sandbar_spec::{ContainerId, PodConfig, PodStatus};
use sandbar_sys::{During, Program, SignalFd};

use crate::exec::Exec;
use crate::guard::{Guard, Guarding};
use crate::member::Member;
use crate::namespaces::SandboxNamespaces;
use crate::poll::{Poll, Serial, Token};
use crate::ports::HeldPort;
use crate::record::{read_record, replace_record};
use crate::relay::Relay;
use crate::{Error, cgroups, shared_memory};

/// How long after the last thing it did a supervisor gives back the memory that it needed for it.
const TIDY_AFTER: Duration = Duration::from_secs(1);

/// What a supervisor is given at its birth.
pub struct Given {
    /// The pod's directory.
    pub directory: PodDirectory,
    /// Its control socket, listening: there before it lives, so that nobody is ever turned away.
    pub listener: OwnedFd,
    /// The client that it was started for, connected.
    pub first_client: Option<OwnedFd>,
    /// The lock that says that it lives, held.
    pub lock: OwnedFd,
    /// The pod's namespaces; empty when it takes over from one that was killed.
    pub namespaces: SandboxNamespaces,
    /// What is looked after while the pod lives.
    pub guard: Option<Box<dyn Guard>>,
    /// How many descriptors a process may have open (`RLIMIT_NOFILE`) that is not told otherwise: what was allowed
    /// before this process allowed itself all that it needs.
    pub descriptors: Option<u64>,
    /// The program, and its arguments before a container's id, that removes a container which is to be
    /// removed when it has ended while others of its pod go on.
    pub remover: (OwnedFd, Vec<CString>),
}

/// A pod's supervisor.
pub(crate) struct Supervisor {
    pub(crate) directory: PodDirectory,
    pub(crate) config: PodConfig,
    pub(crate) status: PodStatus,
    pub(crate) poll: Poll,
    pub(crate) listener: OwnedFd,
    pub(crate) hierarchy: Option<Hierarchy>,
    pub(crate) namespaces: SandboxNamespaces,
    pub(crate) members: BTreeMap<ContainerId, Member>,
    pub(crate) execs: Vec<Exec>,
    pub(crate) clients: BTreeMap<Serial, OwnedFd>,
    /// Who asked for the pod's end, once anybody has.
    pub(crate) stopping: Option<Vec<Serial>>,
    /// Containers that have ended and are to be removed.
    pub(crate) removals: Vec<ContainerId>,
    pub(crate) guarding: Option<Guarding>,
    /// What keeps the pod's host ports from others.
    pub(crate) held: Vec<HeldPort>,
    /// What is relayed to the pod, once something is to be.
    pub(crate) relay: Option<Relay>,
    pub(crate) descriptors: Option<u64>,
    signals: SignalFd,
    remover: (OwnedFd, Vec<CString>),
}

/// A pod of which nothing runs any more. What is left to do (its network, its directory) is the caller's,
/// who alone knows of them; meanwhile this keeps others from supervising the pod, from taking its ports, and
/// the clients that wait for its end waiting.
#[derive(Debug)]
pub struct Ended {
    /// The pod.
    pub config: PodConfig,
    // Dropped in this order: who is told by the last that the pod has ended finds its ports free.
    _lock: OwnedFd,
    ports: Vec<HeldPort>,
    clients: Vec<OwnedFd>,
}

impl Ended {
    /// Lets the pod's ports go and tells the clients that wait that it has ended; nobody else supervises it yet.
    pub fn tell_clients(&mut self) {
        self.ports.clear();
        self.clients.clear();
    }
}

/// Supervises a pod until nothing of it runs.
///
/// # Errors
/// What keeps it from beginning: the pod's records, its socket, the kernel.
pub fn run(given: Given) -> Result<Ended, Error> {
    let config: PodConfig = read_record(&given.directory.config())?
        .ok_or_else(|| Error::new(format!("{} is gone", given.directory.config().display())))?;
    rustix::io::ioctl_fionbio(&given.listener, true).during("ioctl", || "FIONBIO".into())?;
    let status: PodStatus = read_record(&given.directory.status())?.unwrap_or_default();
    let signals = SignalFd::new(&[Signal::CHILD]).during("signalfd", || "SIGCHLD".into())?;
    let mut supervisor = Supervisor {
        directory: given.directory,
        config,
        status,
        poll: Poll::new()?,
        listener: given.listener,
        hierarchy: Hierarchy::detect().ok(),
        namespaces: given.namespaces,
        members: BTreeMap::new(),
        execs: Vec::new(),
        clients: BTreeMap::new(),
        stopping: None,
        removals: Vec::new(),
        guarding: given.guard.map(Guarding::new),
        held: Vec::new(),
        relay: None,
        descriptors: given.descriptors,
        signals,
        remover: given.remover,
    };
    supervisor.begin(given.first_client)?;
    supervisor.go_on()?;
    supervisor.finish();
    let clients = supervisor.clients.into_values().collect();
    let (config, ports) = (supervisor.config, supervisor.held);
    Ok(Ended { config, _lock: given.lock, ports, clients })
}

impl Supervisor {
    fn begin(&mut self, first_client: Option<OwnedFd>) -> Result<(), Error> {
        self.poll.watch(&self.listener, Token::Listener)?;
        self.poll.watch(self.signals.as_fd(), Token::Signals)?;
        self.status.supervisor = i32::try_from(std::process::id()).ok();
        replace_record(&self.directory.status(), &self.status)?;
        // Orphans of containers in the host's PID namespace come here, to be collected.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .during("prctl", || "PR_SET_CHILD_SUBREAPER".into())?;
        shared_memory::mount(&self.directory.shared_memory())?;
        self.adopt_all()?;
        if let Some(client) = first_client {
            rustix::io::ioctl_fionbio(&client, true).during("ioctl", || "FIONBIO".into())?;
            self.add_client(client);
        }
        Ok(())
    }

    /// The loop: until nothing runs and nobody who was let in is without an answer.
    fn go_on(&mut self) -> Result<(), Error> {
        let mut asked = false;
        let mut patience = Instant::now() + Duration::from_secs(10);
        let mut tidy = Some(Instant::now() + TIDY_AFTER);
        let mut is_silent = false;
        loop {
            let active = self.members.values().any(Member::is_active);
            asked |= active;
            // One that was started for a client waits for what that client wants.
            if !active && (asked || self.clients.is_empty() || is_silent) {
                return Ok(());
            }
            let deadline = self.members.values().filter_map(Member::deadline).min();
            let deadline = if active { deadline } else { Some(patience) };
            let due = self.guarding.as_ref().and_then(Guarding::due);
            let relayed = self.relay.as_ref().and_then(Relay::due);
            let due = deadline.into_iter().chain(tidy).chain(due).chain(relayed).min();
            let tokens = self.poll.wait(due)?;
            // Asked before all that takes long here: what has come meanwhile is heard first.
            is_silent = tokens.is_empty() && Instant::now() >= patience;
            for token in tokens {
                self.serve(token, &mut patience);
                match token {
                    Token::Stream(_) => {}
                    // While it goes on there is never a quiet moment.
                    Token::Relay => drop(tidy.get_or_insert(Instant::now() + TIDY_AFTER)),
                    _ => tidy = Some(Instant::now() + TIDY_AFTER),
                }
            }
            let now = Instant::now();
            if let Some(relay) = &mut self.relay {
                relay.attend(now);
            }
            if tidy.take_if(|tidy| *tidy <= now).is_some() {
                sandbar_sys::trim_heap();
                sandbar_sys::release_program();
            }
            if let Some(guarding) = &mut self.guarding
                && guarding.attend(&self.poll, now)?
            {
                // Not later and later while what it does fails.
                tidy.get_or_insert(Instant::now() + TIDY_AFTER);
                let relayed = if self.relay.is_none() { guarding.relayed() } else { Vec::new() };
                for (ports, to) in relayed {
                    // Nobody is there to be told; what can't be relayed is refused, as before.
                    let _refused = self.relay_ports(&ports, to);
                }
            }
            self.kill_what_is_due(now);
            self.restart_what_is_due(now);
            self.remove_what_is_due();
        }
    }

    fn serve(&mut self, token: Token, patience: &mut Instant) {
        match token {
            Token::Listener => self.accept_clients(),
            Token::Signals => {
                while self.signals.next().is_some() {}
                self.reap();
            }
            Token::Client(serial) => {
                self.read_client(serial);
                *patience = Instant::now() + Duration::from_secs(1);
            }
            Token::Stream(serial) => self.read_stream(serial),
            Token::Starting(serial) => self.read_starting(serial),
            Token::Adopted(serial) => self.adopted_ended(serial),
            Token::Guard => {
                if let Some(guarding) = &mut self.guarding {
                    guarding.told(&self.poll, Instant::now());
                }
            }
            Token::Relay => {
                if let Some(relay) = &mut self.relay {
                    relay.serve();
                }
            }
        }
    }

    fn read_stream(&mut self, serial: Serial) {
        for member in self.members.values_mut() {
            let Some(index) = member.streams.iter().position(|stream| stream.serial == serial)
            else {
                continue;
            };
            let (Some(stream), Some(log)) = (member.streams.get(index), &mut member.log) else {
                continue;
            };
            if !stream.read_into(log) {
                stream.unwatch(&self.poll);
                member.streams.swap_remove(index);
            }
            log.shrink();
            member.tell_of_output();
            return;
        }
    }

    /// Has containers removed that are to be, while others go on. When none does, the pod's end removes
    /// them.
    fn remove_what_is_due(&mut self) {
        if self.removals.is_empty() || !self.members.values().any(Member::is_active) {
            return;
        }
        for id in std::mem::take(&mut self.removals) {
            self.members.remove(&id);
            let Ok(id) = CString::new(id.as_str()) else { continue };
            let (file, arguments) = &self.remover;
            let Ok(null) = rustix::fs::open(
                "/dev/null",
                rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
                rustix::fs::Mode::empty(),
            ) else {
                continue;
            };
            let program = Program {
                file: file.as_fd(),
                arguments: arguments.iter().cloned().chain([id]).collect(),
                environment: Vec::new(),
                descriptors: vec![null.as_fd(); 3],
                cgroup_tasks: Vec::new(),
                into_cgroup: None,
            };
            // One that can't be started leaves the container for `rm`.
            let _started = program.start_detached();
        }
    }

    /// The pod has ended: its socket and cgroup go.
    fn finish(&mut self) {
        let _unlinked = rustix::fs::unlink(self.directory.socket());
        shared_memory::unmount(&self.directory.shared_memory());
        self.status.supervisor = None;
        let _saved = replace_record(&self.directory.status(), &self.status);
        if let (Some(hierarchy), Ok(path)) = (&self.hierarchy, cgroups::pod_cgroup(&self.config.id))
        {
            let _removed = hierarchy.open(&path).remove(Duration::from_secs(5));
        }
        for client in self.stopping.take().unwrap_or_default() {
            self.reply(client, &Reply::Done, &[]);
        }
    }
}
