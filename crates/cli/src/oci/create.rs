//! `sandbar oci create`.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use jiff::Timestamp;
use oci_spec::runtime::{ContainerState, Hook, LinuxNamespaceType, Spec};
use rustix::fs::{CWD, Mode, OFlags};
use sandbar_runtime::{
    Container, Gate, LONGEST_STATE, PidNamespace, Placement, Rootfs, Starting, run_hooks,
};

use super::bundle::Bundle;
use super::cgroups::{Made, Place};
use super::options::Creation;
use super::process::{Point, follow, stdio};
use super::record::{Directory, Process, Record};
use super::{Context, cgroups, delete, safety};
use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};

/// Make a container, up to its program
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    #[command(flatten)]
    creation: Creation,
    /// The container's id
    id: String,
}

impl Create {
    pub(super) fn execute(self, context: &Context) -> Result<Exit> {
        create(context, &self.creation, &self.id, true)?;
        Ok(Exit::SUCCESS)
    }
}

/// A container that waits for its start.
#[derive(Debug)]
pub(super) struct Created {
    pub(super) directory: Directory,
    pub(super) starting: Starting,
    /// For messages.
    pub(super) program: String,
    pub(super) terminal: Option<OwnedFd>,
}

/// Creates the container `id`; what was made for one that fails is removed again. `detached`: the caller does not
/// stay with it.
pub(super) fn create(
    context: &Context,
    options: &Creation,
    id: &str,
    detached: bool,
) -> Result<Created> {
    safety::protect_program()?;
    let directory = Directory::new(&context.root, id)?;
    let bundle = Bundle::open(&options.bundle)?;
    options.process.check(bundle.has_terminal(), detached)?;
    let place = Place::asked(context, &bundle.spec, id)?;
    let cgroup = place.cgroup()?;
    directory.must_be_free()?;
    cgroups::must_be_free(&cgroup)?;
    let mut record = Record {
        oci_version: bundle.spec.version().clone(),
        id: id.to_owned(),
        bundle: bundle.path.clone(),
        rootfs: bundle.rootfs.clone(),
        annotations: bundle.annotations(),
        new_keyring: !options.no_new_keyring,
        created: Timestamp::now(),
        // Named before it is made, and only now that it is nobody's: what fails removes it.
        cgroup: place,
        process: None,
        ready: false,
    };
    if record.state_text(ContainerState::Creating)?.len() + 16 > LONGEST_STATE {
        let most = LONGEST_STATE >> 10;
        return Err(Failure::new(format!(
            "annotations: a state of more than {most} KiB can't be given to hooks"
        )));
    }
    directory.make()?;
    let _lock = directory.lock()?;
    let program = program(&bundle.spec);
    let made = directory
        .write(&record)
        .and_then(|()| std::fs::write(directory.config(), &bundle.text).doing("copy config.json"))
        .and_then(|()| {
            let made = cgroups::create(context, &cgroup, &bundle, &mut record.cgroup)?;
            make(context, options, bundle, made, &directory, &mut record)
        });
    if made.is_err() {
        // Once there was a process, hooks may have made what those after a container's end remove.
        let undone = match record.process {
            Some(_) => delete::delete_locked(context, &directory, &record),
            None => delete::remove(&directory, &record),
        };
        if let Err(failure) = undone {
            context.log.warn(failure.lines().trim_end());
        }
    }
    let (starting, terminal) = made?;
    Ok(Created { directory, starting, program, terminal })
}

fn make(
    context: &Context,
    options: &Creation,
    bundle: Bundle,
    cgroup: Made,
    directory: &Directory,
    record: &mut Record,
) -> Result<(Starting, Option<OwnedFd>)> {
    let id = directory.id();
    let action = format!("create container {id}");
    let fifo = make_fifo(&directory.fifo())?;
    std::fs::create_dir(directory.mount_point()).doing(&action)?;
    let hooks = Hooks::of(&bundle.spec);
    let program = program(&bundle.spec);
    let terminal = bundle.has_terminal();
    let pid_namespace = Asked::of(&bundle.spec)?;
    let placement = Placement {
        pid_namespace: pid_namespace.placement(),
        into_cgroup: cgroup.entry.clone_into.as_ref().map(AsFd::as_fd),
        cgroup_tasks: cgroup.entry.tasks.iter().map(AsFd::as_fd).collect(),
    };
    let gate = Gate {
        fifo,
        create_container: hooks.create_container.clone(),
        start_container: hooks.start_container.clone(),
    };
    let container = Container {
        spec: bundle.spec,
        rootfs: Rootfs::Directory(bundle.rootfs),
        mount_point: directory.mount_point(),
        stdio: stdio(terminal)?,
        seccomp: false,
        state: Some(record.state(ContainerState::Creating)),
        pivot: !options.no_pivot,
        gate: Some(gate),
        preserved_descriptors: options.process.preserve_fds,
        new_keyring: !options.no_new_keyring,
    };
    let mut starting = sandbar_runtime::start(&placement, || Ok(container))
        .map_err(|error| super::failure_of_start(&action, &program, &error))?;
    record.process = Some(Process::new(starting.pid));
    directory.write(record)?;
    cgroup.entered()?;
    let mut terminal = None;
    loop {
        match follow(context, &action, &program, &mut starting, &mut terminal)? {
            Some(Point::Prepared) => {
                let state = record.state_text(ContainerState::Creating)?;
                for (point, list) in
                    [("prestart", &hooks.prestart), ("createRuntime", &hooks.create_runtime)]
                {
                    run_hooks(point, list, &state)
                        .map_err(|error| Failure::new(error.one_line()))?;
                }
                let later = record.state_text(ContainerState::Created)?;
                starting
                    .proceed(&state, &later)
                    .map_err(|failure| Failure::new(format!("cannot {action}: {failure}")))?;
            }
            Some(Point::Created) => break,
            None => {
                return Err(Failure::new(format!(
                    "cannot {action}: its process was ended before it was made"
                ))
                .hint("a memory limit may be too low, or somebody killed it"));
            }
        }
    }
    options.process.send_terminal(terminal.as_ref().map(AsFd::as_fd))?;
    options.process.write_pid(starting.pid.as_raw_nonzero().get())?;
    record.ready = true;
    directory.write(record)?;
    Ok((starting, terminal))
}

/// The program, for messages.
fn program(spec: &Spec) -> String {
    let arguments = spec.process().as_ref().and_then(|process| process.args().as_deref());
    arguments.and_then(<[String]>::first).cloned().unwrap_or_default()
}

/// The PID namespace that a specification asks for.
enum Asked {
    Inherited,
    New,
    NewInUserNamespace,
    At(OwnedFd),
}

impl Asked {
    fn of(spec: &Spec) -> Result<Self> {
        let list = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref());
        let of = |kind| list.unwrap_or_default().iter().find(|it| it.typ() == kind);
        let Some(asked) = of(LinuxNamespaceType::Pid) else { return Ok(Self::Inherited) };
        if let Some(path) = asked.path() {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            let action = || format!("use linux.namespaces pid {}", path.display());
            return rustix::fs::open(path, flags, Mode::empty()).doing(action()).map(Self::At);
        }
        Ok(match of(LinuxNamespaceType::User) {
            Some(_) => Self::NewInUserNamespace,
            None => Self::New,
        })
    }

    fn placement(&self) -> PidNamespace<'_> {
        match self {
            Self::Inherited => PidNamespace::Inherited,
            Self::New => PidNamespace::New,
            Self::NewInUserNamespace => PidNamespace::NewInUserNamespace,
            Self::At(file) => PidNamespace::At(file.as_fd()),
        }
    }
}

/// A FIFO that is open on both sides, so that neither waits for the other.
fn make_fifo(path: &Path) -> Result<OwnedFd> {
    let action = || format!("make {}", path.display());
    rustix::fs::mkfifoat(CWD, path, Mode::from_raw_mode(0o600)).doing(action())?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(path, flags, Mode::empty()).doing(action())
}

/// The hooks of a specification, by the point at which they are run.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    prestart: Vec<Hook>,
    create_runtime: Vec<Hook>,
    create_container: Vec<Hook>,
    start_container: Vec<Hook>,
    pub(super) poststart: Vec<Hook>,
    pub(super) poststop: Vec<Hook>,
}

impl Hooks {
    #[allow(deprecated, reason = "prestart hooks are still what many use")]
    pub(super) fn of(spec: &Spec) -> Self {
        let Some(hooks) = spec.hooks() else { return Self::default() };
        let list = |hooks: &Option<Vec<Hook>>| hooks.clone().unwrap_or_default();
        Self {
            prestart: list(hooks.prestart()),
            create_runtime: list(hooks.create_runtime()),
            create_container: list(hooks.create_container()),
            start_container: list(hooks.start_container()),
            poststart: list(hooks.poststart()),
            poststop: list(hooks.poststop()),
        }
    }
}
