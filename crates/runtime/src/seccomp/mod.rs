//! The seccomp filter of a process: that of the bundle (`linux.seccomp`), the built-in one, or none.

mod bpf;
mod built_in;
mod calls;
mod listener;
mod profile;

use std::os::fd::BorrowedFd;

use oci_spec::runtime::{LinuxSeccomp, Process as ProcessSpec, State};
use sandbar_sys::{During, SeccompFlags, SeccompInstruction, load_seccomp_filter};

use crate::error::{Error, Step};
use crate::report::Reporter;
use listener::Listener;

pub(crate) use profile::Profile;

/// A filter that is ready to be loaded.
pub(crate) struct Filter {
    program: Vec<SeccompInstruction>,
    flags: SeccompFlags,
    /// Who answers what the filter leaves to be answered.
    listener: Option<Listener>,
}

impl Filter {
    /// Takes `profile` where there is one, as it was given and compiled; else the built-in one if that is asked for. To be called
    /// while the host's files are in reach, for a profile may name the socket of an agent.
    pub(crate) fn prepare(
        profile: Option<(&LinuxSeccomp, Profile)>,
        built_in: bool,
        process: &ProcessSpec,
        state: Option<&State>,
        reporter: &Reporter,
    ) -> Result<Option<Self>, Error> {
        let Some((profile, compiled)) = profile else {
            let flags = SeccompFlags::default();
            let program = || built_in::filter(built_in::granted(process));
            return Ok(built_in.then(|| Self { program: program(), flags, listener: None }));
        };
        let Profile { program, flags, notifies, told } = compiled;
        for text in told {
            reporter.tell(&text);
        }
        let listener = match notifies {
            true => Some(Listener::connect(profile, state)?),
            false => None,
        };
        Ok(Some(Self { program, flags, listener }))
    }

    /// The socket of who answers.
    pub(crate) fn agent(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(Listener::agent)
    }

    /// Says which process is to load it, by the number that it has for its starter, if it is not this one.
    pub(crate) fn is_loaded_by(&mut self, number: i32) -> Result<(), Error> {
        self.listener.as_mut().map_or(Ok(()), |listener| listener.is_of(number))
    }

    /// Puts this thread under it.
    pub(crate) fn load(&self, reporter: &Reporter) -> Result<(), Error> {
        match &self.listener {
            Some(listener) => listener.load(&self.program, self.flags, reporter),
            None => load_seccomp_filter(&self.program, self.flags)
                .during("seccomp", || self.in_words())
                .step(|| "load the seccomp filter".into()),
        }
    }

    fn in_words(&self) -> String {
        format!("a filter of {} instructions, {:?}", self.program.len(), self.flags)
    }
}
