//! A container that was started, for who waits for its end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sandbar_spec::ExitCode;
use sandbar_spec::control::Reply;
use sandbar_supervisor::Client;

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::lifecycle::wait_for_end;

/// A container that was started.
#[derive(Debug)]
pub struct Started {
    /// Its process id, as the host numbers it.
    pub pid: i32,
    /// Fallbacks that were taken, in words.
    pub told: Vec<String>,
    /// The other end of its terminal, if it has one.
    pub terminal: Option<OwnedFd>,
}

/// The end of a container that was started, to be waited for.
#[derive(Debug)]
pub struct Ending {
    pub(crate) engine: Engine,
    pub(crate) container: Container,
    pub(crate) client: Client,
}

impl Ending {
    /// Waits until it has ended. A container that is to be removed then is gone when this returns.
    ///
    /// # Errors
    /// [`Kind::System`] if its supervisor can't be asked.
    pub fn wait(self) -> Result<ExitCode, Error> {
        let code = match self.client.receive()? {
            Some(packet) => match packet.message {
                Reply::Exited { code, last } => {
                    wait_for_end(&self.client, !last);
                    code
                }
                Reply::Failed { kind, message, .. } => return Err(Error::answered(kind, message)),
                Reply::Done | Reply::Started { .. } => {
                    return Err(Error::new(
                        Kind::System,
                        "the pod's supervisor answers out of turn",
                    ));
                }
            },
            // It was killed: another takes its place.
            None => self.engine.wait_container(&self.container)?,
        };
        if self.container.config.auto_remove {
            match self.engine.remove_container(&self.container, true) {
                Err(error) if error.kind() != Kind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(code)
    }
}

impl AsFd for Ending {
    /// Readable when it has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.client.as_fd()
    }
}
