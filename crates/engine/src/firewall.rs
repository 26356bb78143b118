//! Keeping a pod's part of the firewall as it is while the pod lives, whatever others do to theirs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sandbar_network::Watch;
use sandbar_spec::{NetworkMode, PodConfig, PodId};

use crate::engine::Engine;

/// What the names of our own processes begin with: what they remove is meant to be gone.
const OWN: &str = "sandbar";

/// A pod's part of the firewall.
pub(crate) struct Firewall {
    engine: Engine,
    pod: PodId,
    watch: Watch,
    /// Whether something has to be put back.
    is_open: bool,
}

/// Begins to watch, for a pod that has something to lose. Where there is no nftables there is nothing to watch.
pub(crate) fn watch(pod: &PodConfig) -> Option<Watch> {
    is_ours(pod).then(|| Watch::open(OWN).ok()).flatten()
}

/// Whether a pod's networks are Sandbar's own.
pub(crate) fn is_ours(pod: &PodConfig) -> bool {
    pod.network == NetworkMode::Bridge && pod.cni.is_none()
}

impl Firewall {
    /// What puts the rules that `pod` needs back when somebody else's firewall has been loaded anew. Without `watch`,
    /// which whoever connected the pod began, nobody may have watched for a while. `None` without nftables.
    pub(crate) fn new(engine: &Engine, pod: &PodId, watch: Option<OwnedFd>) -> Option<Self> {
        let is_open = watch.is_none();
        let watch = match watch {
            Some(socket) => Watch::from_socket(socket, OWN),
            None => Watch::open(OWN).ok()?,
        };
        Some(Self { engine: engine.clone(), pod: pod.clone(), watch, is_open })
    }

    /// Looks, and puts back what is missing. `false`: it is to be tried again.
    pub(crate) fn attend(&mut self) -> bool {
        // What can't be read may have been anything.
        self.is_open |= self.watch.look().unwrap_or(true);
        if self.is_open {
            self.is_open = self.engine.put_back(&self.pod).is_err();
        }
        !self.is_open
    }
}

impl AsFd for Firewall {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}
