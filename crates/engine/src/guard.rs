//! What a supervisor looks after for its pod beside its processes: its part of the firewall, and the resolvers of its
//! networks.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use sandbar_spec::{PodConfig, PodId, PortMapping};
use sandbar_supervisor::{Guard, read_record};
use sandbar_sys::During;

use crate::engine::Engine;
use crate::error::Error;
use crate::firewall::{Firewall, Watches};
use crate::resolvers::Resolvers;

/// What is watched, in one descriptor.
struct PodGuard {
    engine: Engine,
    pod: PodId,
    poll: OwnedFd,
    firewall: Option<Firewall>,
    resolvers: Resolvers,
}

/// What of it something has happened to.
pub(crate) enum Watched {
    Firewall,
    Resolvers,
}

impl Watched {
    pub(crate) fn data(self) -> EventData {
        EventData::new_u64(match self {
            Self::Firewall => 0,
            Self::Resolvers => 1,
        })
    }

    fn from_data(data: EventData) -> Self {
        if data.u64() == 0 { Self::Firewall } else { Self::Resolvers }
    }
}

impl Engine {
    /// What looks after `pod` from now on, if its networks are Sandbar's own. `watches` are what whoever connected the
    /// pod watches the firewall with; `program` starts a resolver. To be made while this process is in the host's mount
    /// namespace.
    ///
    /// # Errors
    /// As for the pod's record, epoll_create(2), and opening the mount namespace.
    pub(crate) fn guard(
        &self,
        pod: &PodId,
        watches: Watches,
        program: OwnedFd,
    ) -> Result<Option<Box<dyn Guard>>, Error> {
        let config: Option<PodConfig> = read_record(&self.roots.pod(pod).config())?;
        if !config.as_ref().is_some_and(PodConfig::is_bridged) {
            return Ok(None);
        }
        let poll = epoll::create(CreateFlags::CLOEXEC)
            .during("epoll_create1", || "EPOLL_CLOEXEC".into())?;
        let firewall = Firewall::new(self, pod, watches);
        for watched in firewall.iter().flat_map(Firewall::descriptors) {
            epoll::add(&poll, watched, Watched::Firewall.data(), EventFlags::IN)
                .during("epoll_ctl", || "the firewall's notifications".into())?;
        }
        let resolvers = Resolvers::new(self, pod, program)?;
        Ok(Some(Box::new(PodGuard {
            engine: self.clone(),
            pod: pod.clone(),
            poll,
            firewall,
            resolvers,
        })))
    }
}

impl Guard for PodGuard {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }

    fn changed(&mut self) {
        self.resolvers.look_again();
    }

    fn attend(&mut self) -> bool {
        let mut events = [const { std::mem::MaybeUninit::uninit() }; 8];
        let ready = epoll::wait(&self.poll, &mut events, Some(&Timespec::default()));
        let ready = ready.map(|(ready, _rest)| &*ready).unwrap_or_default();
        if ready.iter().any(|event| matches!(Watched::from_data(event.data), Watched::Resolvers)) {
            self.resolvers.look_again();
        }
        let is_closed = self.firewall.as_mut().is_none_or(Firewall::attend);
        let are_there = self.resolvers.attend(self.poll.as_fd());
        is_closed && are_there
    }

    fn relayed(&mut self) -> Vec<(PortMapping, IpAddr)> {
        // Most of what a supervisor is told of is nothing to it, and shall cost no more than being told.
        if !self.firewall.as_mut().is_some_and(Firewall::was_open) {
            return Vec::new();
        }
        self.engine.relayed(&self.pod).unwrap_or_default()
    }
}
