//! Becoming a container's first process: the steps, in order.

use std::collections::HashMap;
use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceType, LinuxPersonalityDomain, State};
use sandbar_sys::{During, MountAttributes, set_mount_attributes, set_personality};

use crate::cgroup_mount::Cgroups;
use crate::check::Checked;
use crate::devices::Dev;
use crate::error::{Error, Kind, Step};
use crate::gate::Gate;
use crate::handoff;
use crate::masks::Kernels;
use crate::mounts::Mounting;
use crate::namespaces::Entrance;
use crate::process::{Process, Stdio};
use crate::report::Reporter;
use crate::root::Root;
use crate::rootfs::{self, Rootfs};
use crate::seccomp::Filter;
use crate::{devices, inherited, labels, limits, masks, sysctl, terminal};

/// A container to become: an OCI bundle with its root filesystem and standard descriptors.
#[derive(Debug)]
pub struct Container {
    /// The bundle's `config.json`, checked. Its `root.path` is not used: `rootfs` says where the root comes from.
    pub spec: Checked,
    /// The root filesystem.
    pub rootfs: Rootfs,
    /// A directory of the host on which the root is mounted, in the container's mount namespace alone.
    pub mount_point: PathBuf,
    /// Standard input, output and error.
    pub stdio: Stdio,
    /// The built-in seccomp profile where `spec` has none (`linux.seccomp`).
    pub seccomp: bool,
    /// Whether its root is put in place of the host's by pivot_root(2), which can't be where the host's is that of an
    /// initramfs; else it covers the host's, which a process with the right privileges may uncover.
    pub pivot: bool,
    /// Lets its starter act between its creation and its program.
    pub gate: Option<Gate>,
    /// How many descriptors from 3 on are the program's too.
    pub preserved_descriptors: u32,
    /// Whether it gets a session keyring of its own (session-keyring(7)), not that of whoever starts it.
    pub new_keyring: bool,
    /// The container's state, for the agent of a seccomp profile that has one (`linux.seccomp.listenerPath`).
    /// Without a `pid` it is that of the process that this becomes.
    pub state: Option<State>,
}

impl Container {
    /// Becomes it; or another process does, one in the PID namespace that the user namespace owns, of which
    /// `handoff` tells. Returns only if that fails.
    pub(crate) fn become_it(
        mut self,
        reporter: &Reporter,
        handoff: Option<&Reporter>,
    ) -> Result<Infallible, Error> {
        let profile = self.spec.profile.take();
        inherited::cover(&self.stdio, self.preserved_descriptors, reporter.as_fd())?;
        let Some(process) = self.spec.process() else {
            return Err(Error::new(Kind::InvalidSpec, "process: it is needed"));
        };
        let Some(linux) = self.spec.linux() else {
            return Err(Error::new(Kind::InvalidSpec, "linux: it is needed"));
        };
        let (profile, state) = (linux.seccomp().as_ref().zip(profile), self.state.as_ref());
        let mut filter = Filter::prepare(profile, self.seccomp, process, state, reporter)?;
        limits::apply_before_namespaces(process, reporter)?;
        labels::apply(process)?;
        let entrance = Entrance::open(linux)?;
        let mounting = self.mounting(&entrance)?;
        let propagation = linux.rootfs_propagation().as_deref();
        let Some(user) = entrance.user() else {
            if handoff.is_some() {
                let message =
                    "linux.namespaces: there is no user namespace to own the PID namespace";
                return Err(Error::new(Kind::InvalidSpec, message));
            }
            entrance.enter()?;
            rootfs::propagate(propagation)?;
            let tree = self.rootfs.detached(&self.mount_point)?;
            let root = Rootfs::attach(tree, &self.mount_point)?;
            return self.finish(&root, &mounting, HashMap::new(), filter.as_ref(), reporter);
        };
        // As the host's root: it alone may mount an overlay, map owners and go where sources are.
        entrance.enter_as_host()?;
        rootfs::propagate(propagation)?;
        let tree = self.rootfs.detached(&self.mount_point)?;
        let bound = mounting.bind_all(self.spec.mounts().as_deref().unwrap_or_default())?;
        rootfs::stand_at(&self.mount_point)?;
        entrance.enter_as_user(user, handoff.is_some())?;
        let rest = |filter: Option<&Filter>| {
            let root = Rootfs::attach_here(tree)?;
            self.finish(&root, &mounting, bound, filter, reporter)
        };
        let Some(handoff) = handoff else { return rest(filter.as_ref()) };
        handoff::hand_over(handoff, reporter, |number| {
            if let Some(filter) = &mut filter {
                filter.is_loaded_by(number)?;
            }
            rest(filter.as_ref())
        })
    }

    /// The steps within the container's namespaces.
    fn finish(
        &self,
        root: &Root,
        mounting: &Mounting<'_>,
        bound: HashMap<usize, OwnedFd>,
        filter: Option<&Filter>,
        reporter: &Reporter,
    ) -> Result<Infallible, Error> {
        let Some(process) = self.spec.process() else {
            return Err(Error::new(Kind::InvalidSpec, "process: it is needed"));
        };
        let linux = self.spec.linux().as_ref();
        self.name_host()?;
        // Device nodes and mount points get the modes that they are made with.
        rustix::process::umask(rustix::fs::Mode::empty());
        let kernels = self.fill(root, mounting, bound)?;
        let slave = match &self.stdio {
            Stdio::Terminal => {
                let slave = terminal::open(root, process, reporter)?;
                terminal::bind_console(root, slave.as_fd())?;
                Some(slave)
            }
            Stdio::Descriptors(_) => None,
        };
        let directory = process.cwd();
        root.make_directory(directory)
            .during("mkdir", || format!("{} in the root filesystem", directory.display()))
            .step(|| format!("make the working directory {}", directory.display()))?;
        self.restrict(root, &kernels)?;
        drop(kernels);
        let prepared = self.gate.as_ref().map(|gate| gate.prepared(reporter)).transpose()?;
        if self.pivot {
            rootfs::pivot(root)?;
        } else {
            rootfs::cover(root, &self.mount_point)?;
        }
        rootfs::propagate_root(linux.and_then(|linux| linux.rootfs_propagation().as_deref()))?;
        if let Some(personality) = linux.and_then(|linux| linux.personality().as_ref()) {
            let domain = personality.domain();
            // linux/personality.h: PER_LINUX, PER_LINUX32.
            let number = if domain == LinuxPersonalityDomain::PerLinux32 { 8 } else { 0 };
            set_personality(number).during("personality", || domain.to_string())?;
        }
        let process = Process {
            spec: process.clone(),
            stdio: self.stdio.try_clone()?,
            seccomp: self.seccomp,
            profile: None,
            state: None,
            preserved_descriptors: self.preserved_descriptors,
            new_keyring: self.new_keyring,
        };
        process.execute(filter, &Root::current()?, slave, prepared.as_ref(), reporter)
    }

    /// Names are set where the container has a UTS namespace of its own.
    fn name_host(&self) -> Result<(), Error> {
        let linux = self.spec.linux().as_ref();
        let list = linux.and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
        let own = list.iter().any(|namespace| {
            namespace.typ() == LinuxNamespaceType::Uts && namespace.path().is_none()
        });
        if !own {
            return Ok(());
        }
        if let Some(name) = self.spec.hostname() {
            rustix::system::sethostname(name.as_bytes()).during("sethostname", || name.clone())?;
        }
        if let Some(name) = self.spec.domainname() {
            rustix::system::setdomainname(name.as_bytes())
                .during("setdomainname", || name.clone())?;
        }
        Ok(())
    }

    /// What is to be known for mounting, while this process is still where it was started.
    fn mounting<'a>(&'a self, entrance: &'a Entrance) -> Result<Mounting<'a>, Error> {
        let mounts = self.spec.mounts().as_deref().unwrap_or_default();
        let cgroup = mounts.iter().any(|mount| mount.typ().as_deref() == Some("cgroup"));
        let linux = self.spec.linux().as_ref();
        let namespaces = linux.and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default();
        Ok(Mounting {
            cgroups: if cgroup { Some(Cgroups::read()?) } else { None },
            own_cgroup_namespace: namespaces
                .iter()
                .any(|namespace| namespace.typ() == LinuxNamespaceType::Cgroup),
            label: labels::given(linux.and_then(|linux| linux.mount_label().as_deref())),
            user_namespace: entrance.user(),
        })
    }

    /// Mounts what belongs into the root, and makes what belongs into `/dev`; returns what is to be restricted.
    fn fill(
        &self,
        root: &Root,
        mounting: &Mounting<'_>,
        mut bound: HashMap<usize, OwnedFd>,
    ) -> Result<Kernels, Error> {
        let linux = self.spec.linux().as_ref();
        let more = linux.and_then(|linux| linux.devices().as_deref()).unwrap_or_default();
        let mut kernels = Kernels::default();
        let mut own_dev = false;
        let mut bound_dev = false;
        for (index, mount) in self.spec.mounts().as_deref().unwrap_or_default().iter().enumerate() {
            let made = mounting.make(root, mount, bound.remove(&index))?;
            let fresh = |kind| mount.typ().as_deref() == Some(kind);
            if mount.destination() == Path::new("/dev") {
                own_dev = fresh("tmpfs");
                bound_dev = !own_dev;
                if own_dev {
                    devices::make(root, &Dev::Fresh(made.as_fd()), more)?;
                }
            }
            if mount.destination() == Path::new("/proc")
                && fresh("proc")
                && let Some(parameters) = linux.and_then(|linux| linux.sysctl().as_ref())
            {
                sysctl::apply(parameters, made.as_fd())?;
            }
            kernels.keep(mount.destination(), made);
        }
        let shared = matches!(self.rootfs, Rootfs::ReadOnly(_));
        if !own_dev && (bound_dev || !shared) {
            devices::make(root, if bound_dev { &Dev::Bound } else { &Dev::Image }, more)?;
        }
        Ok(kernels)
    }

    /// Masks, read-only paths, and the root itself if it is read-only.
    fn restrict(&self, root: &Root, kernels: &Kernels) -> Result<(), Error> {
        if let Some(linux) = self.spec.linux() {
            let read_only = linux.readonly_paths().as_deref().unwrap_or_default();
            masks::make_read_only(root, kernels, read_only)?;
            masks::mask(root, kernels, linux.masked_paths().as_deref().unwrap_or_default())?;
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
