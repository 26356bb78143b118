//! A firewall connection that is closed when there is time.

use std::os::fd::OwnedFd;

/// The socket through which the firewall was read or changed.
///
/// Closing such a socket waits until the kernel has destroyed what anybody removed shortly before (measured: up to
/// 13 ms). Dropping this closes it; who is in a hurry hands the descriptor on to a process that is not.
#[derive(Debug, Default)]
pub struct Lingering(Option<OwnedFd>);

impl Lingering {
    pub(crate) fn new(socket: Option<OwnedFd>) -> Self {
        Self(socket)
    }

    /// The socket, if there is one still.
    #[must_use]
    pub fn into_socket(self) -> Option<OwnedFd> {
        self.0
    }
}
