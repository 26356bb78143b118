//! A firewall connection that is closed when there is time.

use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long the kernel takes, at the most, to destroy what was removed from the firewall.
const DESTRUCTION: Duration = Duration::from_millis(60);

/// The socket through which the firewall was read or changed.
///
/// The kernel destroys what is removed from the firewall some 10 ms later. Closing such a socket before waits for
/// that (measured: up to 13 ms), and whoever would change the firewall waits too. Dropping this closes it; who is
/// in a hurry hands the descriptor on to a process that is not.
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

    /// Closes the socket when that holds up nobody: for a process that has nothing else to do.
    pub fn close_at_leisure(self) {
        if let Some(socket) = self.0 {
            std::thread::sleep(DESTRUCTION);
            drop(socket);
        }
    }
}
