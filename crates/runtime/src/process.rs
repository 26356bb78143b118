//! A process in a container: who it is and what it may do.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use oci_spec::runtime::{LinuxSeccomp, Process as ProcessSpec, State};
use rustix::process::DumpableBehavior;
use sandbar_sys::During;

use crate::environment::Environment;
use crate::error::{Error, Kind};
use crate::gate::Prepared;
use crate::handoff;
use crate::report::Reporter;
use crate::root::Root;
use crate::seccomp::{Filter, Profile};
use crate::{
    devices, inherited, keyring, labels, limits, namespaces, privileges, program, scheduling,
    terminal,
};

/// A process's standard input, output and error.
#[derive(Debug)]
pub enum Stdio {
    /// These descriptors.
    Descriptors([OwnedFd; 3]),
    /// A new terminal of the container's own; its other end is handed to the starter.
    Terminal,
}

impl Stdio {
    /// The same descriptors again.
    pub(crate) fn try_clone(&self) -> Result<Self, Error> {
        let again = |fd: &OwnedFd| fd.try_clone().during("fcntl", || "F_DUPFD_CLOEXEC".into());
        Ok(match self {
            Self::Descriptors([input, output, error]) => {
                Self::Descriptors([again(input)?, again(output)?, again(error)?])
            }
            Self::Terminal => Self::Terminal,
        })
    }
}

/// What a process is to become: the `process` of the runtime specification, and its standard descriptors.
#[derive(Debug)]
pub struct Process {
    /// The specification. A `user.username` is looked up in the container's own files; it may be
    /// `USER[:GROUP]`, names or numbers, as an image's configuration has it.
    pub spec: ProcessSpec,
    /// Standard input, output and error.
    pub stdio: Stdio,
    /// The built-in seccomp profile where there is no `profile`.
    pub seccomp: bool,
    /// How many descriptors from 3 on are the program's too.
    pub preserved_descriptors: u32,
    /// Whether it gets a session keyring of its own (session-keyring(7)), not that of whoever starts it.
    pub new_keyring: bool,
    /// The seccomp profile of the container's bundle (`linux.seccomp`), if it has one.
    pub profile: Option<LinuxSeccomp>,
    /// The container's state, for the agent of a seccomp profile that has one (`linux.seccomp.listenerPath`).
    pub state: Option<State>,
}

impl Process {
    /// Joins a running container and executes.
    pub(crate) fn become_it_in(
        self,
        container: BorrowedFd<'_>,
        reporter: &Reporter,
    ) -> Result<Infallible, Error> {
        crate::check::check_process(&self.spec)?;
        inherited::cover(&self.stdio, self.preserved_descriptors, reporter.as_fd())?;
        let compile = |profile| Profile::compile(profile).map(|compiled| (profile, compiled));
        let profile = self.profile.as_ref().map(compile).transpose()?;
        let state = self.state.as_ref();
        let mut filter = Filter::prepare(profile, self.seccomp, &self.spec, state, reporter)?;
        limits::apply_before_namespaces(&self.spec, reporter)?;
        scheduling::apply_affinity(&self.spec, reporter)?;
        labels::apply(&self.spec)?;
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .during("prctl", || "PR_SET_DUMPABLE 0".into())?;
        namespaces::join_those_of(container)?;
        self.close_what_is_not_its_own(filter.as_ref(), reporter)?;
        handoff::hand_over(reporter, reporter, |number| {
            if let Some(filter) = &mut filter {
                filter.is_loaded_by(number)?;
            }
            let root = Root::current()?;
            let slave = match self.stdio {
                Stdio::Terminal => Some(terminal::open(&root, &self.spec, reporter)?),
                Stdio::Descriptors(_) => None,
            };
            self.execute(filter.as_ref(), &root, slave, None, reporter)
        })
    }

    /// Closes what this process has of its starter's, before it is where others may look.
    fn close_what_is_not_its_own(
        &self,
        filter: Option<&Filter>,
        reporter: &Reporter,
    ) -> Result<(), Error> {
        let mut kept = vec![reporter.as_fd()];
        kept.extend(filter.and_then(Filter::agent));
        if let Stdio::Descriptors(fds) = &self.stdio {
            kept.extend(fds.iter().map(AsFd::as_fd));
        }
        let first = 3 + self.preserved_descriptors;
        Ok(sandbar_sys::close_from(first, &kept)
            .during("close_range", || format!("{first} and up"))?)
    }

    /// The last steps, in the container's root: descriptors, identity, privileges, program.
    pub(crate) fn execute(
        self,
        filter: Option<&Filter>,
        root: &Root,
        terminal: Option<OwnedFd>,
        prepared: Option<&Prepared<'_>>,
        reporter: &Reporter,
    ) -> Result<Infallible, Error> {
        let (identity, home) = crate::user::resolve(root, self.spec.user())?;
        match (&self.stdio, terminal) {
            (Stdio::Descriptors(fds), _) => {
                let null = devices::null(root);
                let own = |fd: &OwnedFd| match &null {
                    // The host's null device is the host's: its mode and owner could be changed through it.
                    Some(null) if devices::is_null(fd.as_fd()) => null.try_clone(),
                    _ => fd.try_clone(),
                };
                let [input, output, error] = fds;
                let fds = [own(input), own(output), own(error)];
                let [input, output, error] = fds.map(|fd| fd.during("dup", String::new));
                let fds = [input?, output?, error?];
                for fd in &fds {
                    hand_to_user(fd.as_fd(), &identity);
                }
                terminal::set_stdio(fds.each_ref().map(AsFd::as_fd))?;
            }
            (Stdio::Terminal, Some(slave)) => {
                terminal::make_controlling(slave.as_fd(), &identity)?;
            }
            (Stdio::Terminal, None) => {
                return Err(Error::new(Kind::InvalidSpec, "a terminal was asked and none opened"));
            }
        }
        let environment = Environment::new(&self.spec, &home)?;
        let arguments = self.spec.args().as_deref().unwrap_or_default();
        let umask = self.spec.user().umask().unwrap_or(0o022);
        let restricted = self.spec.no_new_privileges().unwrap_or(false);

        limits::apply_rlimits(&self.spec, reporter)?;
        scheduling::apply(&self.spec)?;
        sandbar_sys::mark_close_on_exec_from(3).during("close_range", || "3 and up".into())?;
        if self.new_keyring {
            keyring::renew(reporter)?;
        }
        // Without no-new-privileges a filter needs CAP_SYS_ADMIN, which the next step gives up.
        if let Some(filter) = filter.filter(|_| !restricted) {
            filter.load(reporter)?;
        }
        privileges::assume(&identity, self.spec.capabilities().as_ref(), restricted, reporter)?;
        program::enter_directory(self.spec.cwd())?;
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask & 0o777));
        let program = program::find(arguments, &environment)?;
        rustix::process::set_parent_process_death_signal(None)
            .during("prctl", || "PR_SET_PDEATHSIG none".into())?;
        prepared.map_or(Ok(()), |prepared| prepared.wait(reporter))?;
        if let Some(filter) = filter.filter(|_| restricted) {
            filter.load(reporter)?;
        }
        // Only now: hooks do not get them.
        sandbar_sys::pass_on(self.preserved_descriptors);
        Err(program::execute(&program, arguments, &environment))
    }
}

/// Gives a pipe that is somebody's output to the user who writes it, so that `/dev/stdout` can be opened.
/// Files and devices of the caller are left alone.
fn hand_to_user(fd: BorrowedFd<'_>, identity: &crate::user::Identity) {
    let is_pipe = rustix::fs::fstat(fd).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo
    });
    if is_pipe {
        // A pipe of the caller's that may not be given away stays as it is: only a reopening suffers.
        let _given = rustix::fs::fchown(fd, Some(identity.uid), Some(identity.gid));
    }
}
