//! Becoming a container's first process: the steps, in order.

use std::convert::Infallible;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceType, Spec, State};
use sandbar_sys::{During, MountAttributes, set_mount_attributes};

use crate::check::check;
use crate::error::{Error, Kind, Step};
use crate::gate::Gate;
use crate::process::{Process, Stdio};
use crate::report::Reporter;
use crate::root::Root;
use crate::rootfs::{self, Rootfs};
use crate::seccomp::Filter;
use crate::{devices, limits, masks, mounts, namespaces, sysctl, terminal};

/// A container to become: an OCI bundle with its root filesystem and standard descriptors.
#[derive(Debug)]
pub struct Container {
    /// The bundle's `config.json`. Its `root.path` is not used: `rootfs` says where the root comes from.
    pub spec: Spec,
    /// The root filesystem.
    pub rootfs: Rootfs,
    /// A directory of the host on which the root is mounted, in the container's mount namespace alone.
    pub mount_point: PathBuf,
    /// Standard input, output and error.
    pub stdio: Stdio,
    /// The built-in seccomp profile where `spec` has none (`linux.seccomp`).
    pub seccomp: bool,
    /// Lets its starter act between its creation and its program.
    pub gate: Option<Gate>,
    /// How many descriptors from 3 on are the program's too.
    pub preserved_descriptors: u32,
    /// The container's state, for the agent of a seccomp profile that has one (`linux.seccomp.listenerPath`).
    /// Without a `pid` it is that of the process that this becomes.
    pub state: Option<State>,
}

impl Container {
    /// Becomes it. Returns only if that fails.
    pub(crate) fn become_it(self, reporter: &Reporter) -> Result<Infallible, Error> {
        check(&self.spec)?;
        let Some(process) = self.spec.process().clone() else {
            return Err(Error::new(Kind::InvalidSpec, "process: it is needed"));
        };
        let profile = self.spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref());
        let state = self.state.as_ref();
        let filter = Filter::prepare(profile, self.seccomp, &process, state, reporter)?;
        limits::apply_before_namespaces(&process, reporter)?;
        self.enter_namespaces()?;
        // Device nodes and mount points get the modes that they are made with.
        rustix::process::umask(rustix::fs::Mode::empty());
        rootfs::make_mounts_slaves()?;
        let root = self.rootfs.mount(&self.mount_point)?;
        self.fill(&root)?;
        let slave = match self.stdio {
            Stdio::Terminal => {
                let slave = terminal::open(&root, &process, reporter)?;
                terminal::bind_console(&root, slave.as_fd())?;
                Some(slave)
            }
            Stdio::Descriptors(_) => None,
        };
        let directory = process.cwd();
        root.make_directory(directory)
            .during("mkdir", || format!("{} in the root filesystem", directory.display()))
            .step(|| format!("make the working directory {}", directory.display()))?;
        self.restrict(&root)?;
        let prepared = self.gate.map(|gate| gate.prepared(reporter)).transpose()?;
        rootfs::pivot(&root)?;
        drop(root);
        let process = Process {
            spec: process,
            stdio: self.stdio,
            seccomp: self.seccomp,
            profile: None,
            state: None,
            preserved_descriptors: self.preserved_descriptors,
        };
        process.execute(filter.as_ref(), &Root::current()?, slave, prepared.as_ref(), reporter)
    }

    fn enter_namespaces(&self) -> Result<(), Error> {
        let linux = self.spec.linux().as_ref();
        let list = linux.and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
        namespaces::enter(list)?;
        let own_uts = list.iter().any(|namespace| {
            namespace.typ() == LinuxNamespaceType::Uts && namespace.path().is_none()
        });
        match self.spec.hostname().as_deref().filter(|_| own_uts) {
            Some(name) => rustix::system::sethostname(name.as_bytes())
                .during("sethostname", || name.to_owned())
                .map_err(Error::from),
            None => Ok(()),
        }
    }

    /// Mounts what belongs into the root, and makes what belongs into `/dev`.
    fn fill(&self, root: &Root) -> Result<(), Error> {
        let linux = self.spec.linux().as_ref();
        let more = linux.and_then(|linux| linux.devices().as_deref()).unwrap_or_default();
        for mount in self.spec.mounts().as_deref().unwrap_or_default() {
            let made = mounts::make(root, mount)?;
            let fresh = |kind| mount.typ().as_deref() == Some(kind);
            if mount.destination() == Path::new("/dev") && fresh("tmpfs") {
                devices::make(made.as_fd(), more)?;
            }
            if mount.destination() == Path::new("/proc")
                && fresh("proc")
                && let Some(parameters) = linux.and_then(|linux| linux.sysctl().as_ref())
            {
                sysctl::apply(parameters, made.as_fd())?;
            }
        }
        Ok(())
    }

    /// Masks, read-only paths, and the root itself if it is read-only.
    fn restrict(&self, root: &Root) -> Result<(), Error> {
        if let Some(linux) = self.spec.linux() {
            masks::make_read_only(root, linux.readonly_paths().as_deref().unwrap_or_default())?;
            masks::mask(root, linux.masked_paths().as_deref().unwrap_or_default())?;
        }
        let read_only =
            self.spec.root().as_ref().and_then(oci_spec::runtime::Root::readonly).unwrap_or(false);
        if read_only {
            let attributes =
                MountAttributes { set: MountAttributes::RDONLY, ..MountAttributes::default() };
            set_mount_attributes(root.as_fd(), attributes, false)
                .during("mount_setattr", || "the root, read-only".into())
                .step(|| "make the root filesystem read-only".into())?;
        }
        Ok(())
    }
}
