//! Keeping a pod's part of the firewall, its place on its bridges, and the host's forwarding, as they are while the pod
//! lives, whatever others do to theirs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sandbar_network::{HostWatch, Watch};
use sandbar_spec::{PodConfig, PodId};

use crate::engine::Engine;

/// What the names of our own processes begin with: what they remove is meant to be gone.
const OWN: &str = "sandbar";

/// A pod's part of the firewall, its place on its bridges, and the host's forwarding.
pub(crate) struct Firewall {
    engine: Engine,
    pod: PodId,
    rules: Watch,
    host: Option<HostWatch>,
    /// Whether something has to be put back.
    is_open: bool,
    /// Whether something was, since it was last asked.
    was_open: bool,
}

/// What is watched from before a pod is connected, for its supervisor to go on with.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    pub(crate) rules: Option<OwnedFd>,
    pub(crate) host: Option<OwnedFd>,
}

/// Begins to watch, for a pod that has something to lose. Where there is no nftables there is nothing to watch.
pub(crate) fn watch(pod: &PodConfig) -> Watches {
    if !pod.is_bridged() {
        return Watches::default();
    }
    Watches {
        rules: Watch::open(OWN).ok().map(Watch::into_socket),
        host: HostWatch::open().ok().map(HostWatch::into_socket),
    }
}

impl Firewall {
    /// What puts the rules that `pod` needs back when somebody else's firewall has been loaded anew, and the pod itself
    /// on a bridge that was deleted, and forwarding on. Without `watches`, which whoever connected the pod began, nobody may have watched
    /// for a while. `None` without nftables.
    pub(crate) fn new(engine: &Engine, pod: &PodId, watches: Watches) -> Option<Self> {
        let is_open = watches.rules.is_none() || watches.host.is_none();
        let rules = match watches.rules {
            Some(socket) => Watch::from_socket(socket, OWN),
            None => Watch::open(OWN).ok()?,
        };
        let host = match watches.host {
            Some(socket) => Some(HostWatch::from_socket(socket)),
            None => HostWatch::open().ok(),
        };
        Some(Self {
            engine: engine.clone(),
            pod: pod.clone(),
            rules,
            host,
            is_open,
            was_open: false,
        })
    }

    /// What is readable when there is something to look at.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [self.rules.as_fd()].into_iter().chain(self.host.as_ref().map(AsFd::as_fd))
    }

    /// Looks, and puts back what is missing. `false`: it is to be tried again.
    pub(crate) fn attend(&mut self) -> bool {
        // What can't be read may have been anything.
        self.is_open |= self.rules.look().unwrap_or(true);
        let is_told = self.host.as_mut().is_some_and(|it| it.look().unwrap_or(true));
        // Most bridges that go are others', and not every network needs a router.
        self.is_open |= is_told && !self.engine.is_connected(&self.pod).unwrap_or(false);
        if self.is_open {
            self.is_open = self.engine.put_back(&self.pod).is_err();
            self.was_open = true;
        }
        !self.is_open
    }

    /// Whether there was anything to put back since the last call.
    pub(crate) fn was_open(&mut self) -> bool {
        std::mem::take(&mut self.was_open)
    }
}
