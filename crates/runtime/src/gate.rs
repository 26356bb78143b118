//! A container that is created first and started later: where its first process waits, and what is done at
//! each point.

use std::os::fd::OwnedFd;

use oci_spec::runtime::Hook;
use rustix::io::Errno;
use sandbar_sys::During;

use crate::error::{Error, Kind};
use crate::hooks::run_hooks;
use crate::report::Reporter;

/// The longest state of a container, in bytes of JSON, that hooks are given.
pub const LONGEST_STATE: usize = 64 << 10;

/// Lets a container's starter act between its creation and its program.
///
/// The first process reports [`Event::Prepared`](crate::Event::Prepared) when its namespaces and its root are
/// made and waits for [`Starting::proceed`](crate::Starting::proceed); then it leaves the host's file system,
/// gives up its privileges, reports [`Event::Created`](crate::Event::Created) and waits at `fifo`.
#[derive(Debug)]
pub struct Gate {
    /// A FIFO that is open for both reading and writing. A byte written to it lets the program start; until then
    /// the process needs no starter: it lives on when that one ends.
    pub fifo: OwnedFd,
    /// Run in the container's namespaces before its root is entered.
    pub create_container: Vec<Hook>,
    /// Run in the container just before its program.
    pub start_container: Vec<Hook>,
}

/// What the starter told when it let the process proceed.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    gate: &'a Gate,
    /// The container's state for hooks that run later, JSON.
    state: String,
}

impl Gate {
    /// Waits for the starter's hooks, then runs those of the container's namespaces.
    pub(crate) fn prepared(&self, reporter: &Reporter) -> Result<Prepared<'_>, Error> {
        reporter.prepared();
        let states = reporter.told()?;
        let Some((creating, created)) = states.split_once('\0') else {
            return Err(Error::new(Kind::System, "the starter is gone"));
        };
        run_hooks("createContainer", &self.create_container, creating)?;
        Ok(Prepared { gate: self, state: created.to_owned() })
    }
}

impl Prepared<'_> {
    /// Reports that all is done but the program, waits until that is wanted and runs the hooks before it.
    pub(crate) fn wait(&self, reporter: &Reporter) -> Result<(), Error> {
        reporter.created();
        let mut byte = [0];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.gate.fifo, &mut byte)) {
            Ok(1) => {}
            Ok(_) => return Err(Error::new(Kind::System, "nobody can start it any more")),
            Err(errno) => {
                return Err::<(), Errno>(errno)
                    .during("read", || "the FIFO that starts it".into())
                    .map_err(Error::from);
            }
        }
        run_hooks("startContainer", &self.gate.start_container, &self.state)
    }
}
