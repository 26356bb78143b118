//! Finding a pod's supervisor, or starting one.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use sandbar_cgroup::{Entry, Hierarchy, Limits};
use sandbar_spec::layout::PodDirectory;
use sandbar_spec::{ContainerState, PodConfig};
use sandbar_supervisor::{Client, supervisors_cgroup};
use sandbar_sys::{During, Program, own_program};

use crate::change_ports::hold;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::pod::Pod;
use crate::sandbox::Sandbox;
use crate::{descriptors, directories, supervise};

/// How long a supervisor may take to end or to begin.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Has the C library's allocator keep no small blocks for the next who asks for one of their size: scattered as they are,
/// they would keep the pages around them, and a supervisor gives back what it needed for a while.
const WITHOUT_CACHE: &CStr = c"GLIBC_TUNABLES=glibc.malloc.tcache_count=0";

impl Engine {
    /// A connection to the pod's supervisor; `None` if there is none, and nothing of the pod lives.
    pub(crate) fn find_supervisor(&self, pod: &PodConfig) -> Result<Option<Client>, Error> {
        let directory = self.roots.pod(&pod.id);
        let lock = match reach(&directory)? {
            Reached::Supervisor(client) => return Ok(Some(client)),
            Reached::Lock(lock) => lock,
        };
        match Pod::read(&directory)? {
            // One that was killed left something alive: another takes it over.
            Some(found) if has_life(&found) => {
                let (client, _told) =
                    self.start_supervisor(&found.config, &lock, &Sandbox::default())?;
                Ok(Some(client))
            }
            _ => Ok(None),
        }
    }

    /// A connection to the pod's supervisor, started if need be with the pod's sandbox; and what is worth knowing of
    /// how that was made.
    pub(crate) fn ensure_supervisor(
        &self,
        pod: &PodConfig,
    ) -> Result<(Client, Vec<String>), Error> {
        let directory = self.roots.pod(&pod.id);
        let lock = match reach(&directory)? {
            Reached::Supervisor(client) => return Ok((client, Vec::new())),
            Reached::Lock(lock) => lock,
        };
        let Some(found) = Pod::read(&directory)? else {
            return Err(Error::new(Kind::NotFound, format!("pod '{}' is gone", pod.name)));
        };
        // As it is now: its ports may have changed while there was a supervisor.
        let now = &found.config;
        let sandbox = if has_life(&found) { Sandbox::default() } else { self.make_sandbox(now)? };
        let started = self.start_supervisor(now, &lock, &sandbox);
        if started.is_err() && !has_life(&found) {
            let _disconnected = self.detach_and_unpublish(&pod.id);
        }
        let (client, told) = started?;
        Ok((client, [sandbox.told, told].concat()))
    }

    /// Starts a supervisor and connects to it; and what is worth knowing of its ports.
    fn start_supervisor(
        &self,
        pod: &PodConfig,
        lock: &OwnedFd,
        sandbox: &Sandbox,
    ) -> Result<(Client, Vec<String>), Error> {
        let namespaces = &sandbox.namespaces;
        let adopts = namespaces.ipc.is_none();
        let reservations = match adopts {
            // The pod's ports are translated all the same; only the hold on some of them may be lost.
            true => self.reserve_what_is_free(&pod.ports),
            false => self.reserve_ports(&pod.ports)?,
        };
        let listener = sandbar_supervisor::listen(&self.roots.pod(&pod.id).socket())?;
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .during("socketpair", || "AF_UNIX SOCK_SEQPACKET".into())?;
        let file = own_program()?;
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .during("open", || "/dev/null".into())?;
        let entry = supervisors_entry()?;
        let mut given = vec![null.as_fd(), null.as_fd(), null.as_fd()];
        given.extend([file.as_fd(), lock.as_fd(), listener.as_fd(), theirs.as_fd()]);
        let watches = &sandbox.watches;
        let held =
            [&namespaces.net, &namespaces.ipc, &namespaces.uts, &watches.rules, &watches.host];
        given.extend(held.iter().copied().flatten().map(AsFd::as_fd));
        given.extend(sandbox.lingering.iter().map(AsFd::as_fd));
        let mut kinds = String::new();
        for (held, kind) in held.into_iter().zip(["n", "i", "u", "w", "h"]) {
            kinds.push_str(if held.is_some() { kind } else { "" });
        }
        let limit = descriptors::limit_for_others();
        let descriptor_limit = limit.map(|limit| limit.to_string()).unwrap_or_default();
        let text = |text: &[u8]| {
            CString::new(text).map_err(|_nul| Error::new(Kind::Invalid, "a path holds a NUL byte"))
        };
        let program = Program {
            file: file.as_fd(),
            arguments: vec![
                text(supervise::NAME.as_bytes())?,
                text(self.roots.root.as_os_str().as_bytes())?,
                text(self.roots.run_root.as_os_str().as_bytes())?,
                text(pod.id.as_str().as_bytes())?,
                text(kinds.as_bytes())?,
                text(descriptor_limit.as_bytes())?,
                text(sandbox.lingering.len().to_string().as_bytes())?,
            ],
            environment: vec![WITHOUT_CACHE.into()],
            descriptors: given,
            cgroup_tasks: entry
                .iter()
                .flat_map(|entry| entry.tasks.iter().map(AsFd::as_fd))
                .collect(),
            into_cgroup: entry
                .as_ref()
                .and_then(|entry| entry.clone_into.as_ref().map(AsFd::as_fd)),
        };
        program.start_detached().during("start", || "the pod's supervisor".into())?;
        let client = Client::from(ours);
        // The supervisor's alone from here on: its end shall be seen.
        drop(program);
        drop((theirs, listener));
        // Handed over one message after the other: as descriptors that it starts with, thousands would need thrice
        // as many numbers here.
        hold(&client, &reservations)?;
        let told = self.relay(&client, pod, &pod.ports);
        Ok((client, told))
    }
}

/// The way into the cgroup of Sandbar's own processes; `None` without cgroups, where there is none to leave.
pub(crate) fn supervisors_entry() -> Result<Option<Entry>, Error> {
    let Ok(hierarchy) = Hierarchy::detect() else { return Ok(None) };
    let created = hierarchy.create(&supervisors_cgroup()?, &Limits::default())?;
    Ok(Some(created.cgroup.entry()?))
}

/// What there is of a pod's supervisor.
pub(crate) enum Reached {
    /// It lives, and this is a connection to it.
    Supervisor(Client),
    /// There is none, and while this is held there will be none.
    Lock(OwnedFd),
}

/// Reaches the pod's supervisor, or makes sure that there is none. One that is ending, or about to begin, is
/// waited for: it holds its lock until all is cleaned up, and listens before it begins.
pub(crate) fn reach(directory: &PodDirectory) -> Result<Reached, Error> {
    let deadline = Instant::now() + LONGEST_WAIT;
    loop {
        if let Some(client) = Client::connect(&directory.socket())? {
            return Ok(Reached::Supervisor(client));
        }
        if let Some(lock) = directories::try_lock(&directory.supervisor_lock())? {
            return Ok(Reached::Lock(lock));
        }
        if Instant::now() > deadline {
            let lock = directory.supervisor_lock();
            let message =
                format!("the pod's supervisor neither answers nor ends ({})", lock.display());
            return Err(Error::new(Kind::System, message));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a process of the pod lives.
pub(crate) fn has_life(pod: &Pod) -> bool {
    pod.containers.iter().any(|container| container.status.state == ContainerState::Running)
}
