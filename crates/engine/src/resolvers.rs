//! The resolvers of a pod's networks, which its supervisor brings back.
//!
//! Each holds its lock, a FIFO, open for writing: its supervisors have it open for reading, and are told of its end
//! by the kernel and of nothing else. Which of them starts the next one the lock decides.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, EventFlags};
use rustix::fs::{CWD, Mode, OFlags};
use sandbar_resolver::{NetworkDirectory, Outside, Start};
use sandbar_spec::{NetworkName, PodId};
use sandbar_sys::During;

use crate::engine::Engine;
use crate::error::Error;
use crate::guard::Watched;
use crate::pod;

/// How often in a row it is tried to start one, as where another program has taken its address.
const TRIES: u32 = 10;

/// How long an address that another has is waited for at a time, by a process that has more to do: what a killed
/// resolver had is closed within that.
const PATIENCE: Duration = Duration::from_millis(20);

/// What a supervisor knows of them.
pub(crate) struct Resolvers {
    engine: Engine,
    pod: PodId,
    program: OwnedFd,
    /// The host's mounts, in which they are to be: this process's own hold the pod's shared memory.
    mounts: OwnedFd,
    root: OwnedFd,
    /// Those whose end is waited for.
    ends: BTreeMap<NetworkName, OwnedFd>,
    /// Whether there may be something to do.
    is_due: bool,
    failures: u32,
}

impl Resolvers {
    /// Those of a pod's networks as of the next look. To be made in the mount namespace in which resolvers are to be.
    pub(crate) fn new(engine: &Engine, pod: &PodId, program: OwnedFd) -> Result<Self, Error> {
        let open = |path: &str, flags| {
            rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())
                .during("open", || path.to_owned())
        };
        Ok(Self {
            engine: engine.clone(),
            pod: pod.clone(),
            program,
            mounts: open("/proc/self/ns/mnt", OFlags::RDONLY)?,
            root: open("/", OFlags::PATH | OFlags::DIRECTORY)?,
            ends: BTreeMap::new(),
            is_due: true,
            failures: 0,
        })
    }

    /// One has ended, or the pod's networks have changed.
    pub(crate) fn look_again(&mut self) {
        self.is_due = true;
    }

    /// Makes sure that there are those of the networks that the pod is on now, and that `poll` tells of their ends.
    /// `false`: it is to be tried again.
    pub(crate) fn attend(&mut self, poll: BorrowedFd<'_>) -> bool {
        if !self.is_due {
            return true;
        }
        self.is_due = false;
        let networks = self.networks();
        let gone: Vec<NetworkName> =
            self.ends.keys().filter(|name| !networks.contains(name)).cloned().collect();
        for name in gone {
            self.forget(poll, &name);
        }
        let ensured: Vec<bool> =
            networks.iter().map(|name| self.ensure(poll, name).is_ok()).collect();
        if ensured.iter().all(|is_there| *is_there) {
            self.failures = 0;
            return true;
        }
        self.is_due = true;
        self.failures += 1;
        if self.failures < TRIES {
            return false;
        }
        // Its end would be told for ever. It is tried again when something else is to be looked at.
        self.failures = 0;
        for (name, _) in networks.iter().zip(ensured).filter(|(_, is_there)| !is_there) {
            self.forget(poll, name);
        }
        true
    }

    /// Those with names on which the pod is known by now. Of one that has just put it on a network, or takes it off,
    /// the supervisor is told when that is done.
    fn networks(&self) -> Vec<NetworkName> {
        let connections = pod::connections(&self.engine.roots.pod(&self.pod)).unwrap_or_default();
        let names = connections.into_iter().filter(|it| it.names).map(|it| it.network);
        names.filter(|name| self.directory(name).has_endpoint(self.pod.as_str())).collect()
    }

    fn directory(&self, network: &NetworkName) -> NetworkDirectory {
        NetworkDirectory::new(self.engine.roots.resolver(network))
    }

    fn ensure(&mut self, poll: BorrowedFd<'_>, network: &NetworkName) -> Result<(), Error> {
        let directory = self.directory(network);
        if !self.ends.contains_key(network) {
            let end = directory.end()?;
            epoll::add(poll, &end, Watched::Resolvers.data(), EventFlags::empty())
                .during("epoll_ctl", || format!("the resolver of '{network}'"))?;
            self.ends.insert(network.clone(), end);
        }
        // In the supervisors' cgroup, as this process is.
        let outside = Outside { mounts: self.mounts.as_fd(), root: self.root.as_fd() };
        let start = Start {
            outside: Some(outside),
            patience: PATIENCE,
            ..Start::new(self.program.as_fd())
        };
        start.ensure(&directory)?;
        Ok(())
    }

    fn forget(&mut self, poll: BorrowedFd<'_>, network: &NetworkName) {
        if let Some(end) = self.ends.remove(network) {
            // Closing it alone would not do while a child has a copy (epoll(7)).
            let _forgotten = epoll::delete(poll, &end);
        }
    }
}
