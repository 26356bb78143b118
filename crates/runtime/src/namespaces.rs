//! Entering a container's namespaces.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use oci_spec::runtime::{Linux, LinuxNamespace, LinuxNamespaceType, LinuxTimeOffset};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Gid, Uid};
use rustix::thread::LinkNameSpaceType;
use sandbar_sys::{During, Namespaces, bring_up_loopback, unshare};

use crate::error::{Error, Step};
use crate::user_namespace;

/// The namespaces of a container, opened or yet to be made.
pub(crate) struct Entrance {
    new: Namespaces,
    joined: Vec<(OwnedFd, LinkNameSpaceType)>,
    user: Option<OwnedFd>,
    offsets: Option<String>,
}

impl Entrance {
    /// Opens the namespaces that have a path, and makes the user namespace if a new one is asked.
    pub(crate) fn open(linux: &Linux) -> Result<Self, Error> {
        let mut entrance = Self {
            new: Namespaces::NEWNS,
            joined: Vec::new(),
            user: None,
            offsets: linux.time_offsets().as_ref().and_then(offsets),
        };
        for namespace in linux.namespaces().as_deref().unwrap_or_default() {
            let opened = open(namespace)?;
            let (flag, link) = match namespace.typ() {
                LinuxNamespaceType::Network => (Namespaces::NEWNET, LinkNameSpaceType::Network),
                LinuxNamespaceType::Ipc => {
                    (Namespaces::NEWIPC, LinkNameSpaceType::InterProcessCommunication)
                }
                LinuxNamespaceType::Uts => {
                    (Namespaces::NEWUTS, LinkNameSpaceType::HostNameAndNISDomainName)
                }
                LinuxNamespaceType::Cgroup => {
                    (Namespaces::NEWCGROUP, LinkNameSpaceType::ControlGroup)
                }
                LinuxNamespaceType::Time => (Namespaces::NEWTIME, LinkNameSpaceType::Time),
                LinuxNamespaceType::User => {
                    entrance.user = Some(match opened {
                        Some(opened) => opened,
                        None => user_namespace::make(
                            linux.uid_mappings().as_deref().unwrap_or_default(),
                            linux.gid_mappings().as_deref().unwrap_or_default(),
                        )?,
                    });
                    continue;
                }
                // A process is born into its PID namespace; its mount namespace is always a new one.
                LinuxNamespaceType::Pid | LinuxNamespaceType::Mount => continue,
            };
            match opened {
                Some(opened) => entrance.joined.push((opened, link)),
                None => entrance.new |= flag,
            }
        }
        Ok(entrance)
    }

    /// The user namespace.
    pub(crate) fn user(&self) -> Option<BorrowedFd<'_>> {
        self.user.as_ref().map(AsFd::as_fd)
    }

    /// Joins what has a path and makes the rest, but for the PID namespace.
    pub(crate) fn enter(&self) -> Result<(), Error> {
        self.join()?;
        self.make(self.new)
    }

    /// The first half of [`enter`](Self::enter) for a container with a user namespace: while this process is
    /// still the host's root, whose the mounts of the host are.
    pub(crate) fn enter_as_host(&self) -> Result<(), Error> {
        self.join()?;
        Ok(unshare(Namespaces::NEWNS).during("unshare", || "NEWNS".into())?)
    }

    /// The second half: the user namespace, and in it those that it is to own, the PID namespace of children
    /// among them with `new_pid_namespace`.
    pub(crate) fn enter_as_user(
        &self,
        user: BorrowedFd<'_>,
        new_pid_namespace: bool,
    ) -> Result<(), Error> {
        let mut new = self.new;
        // Its clock is set through /proc/self, which is the host's root's from the next step on.
        if new.contains(Namespaces::NEWTIME) {
            self.make(Namespaces::NEWTIME)?;
            new -= Namespaces::NEWTIME;
        }
        rustix::thread::move_into_link_name_space(user, Some(LinkNameSpaceType::User))
            .during("setns", || "User".into())
            .step(|| "enter the user namespace".into())?;
        become_root()?;
        if new_pid_namespace {
            new |= Namespaces::NEWPID;
        }
        self.make(new)
    }

    fn join(&self) -> Result<(), Error> {
        self.joined.iter().try_for_each(|(namespace, kind)| set(namespace, *kind))
    }

    fn make(&self, new: Namespaces) -> Result<(), Error> {
        unshare(new).during("unshare", || format!("{new:?}"))?;
        if new.contains(Namespaces::NEWNET) {
            bring_up_loopback().during("ioctl", || "SIOCSIFFLAGS lo up".into())?;
        }
        if new.contains(Namespaces::NEWTIME) {
            self.enter_time()?;
        }
        Ok(())
    }

    /// Sets the clocks of the new time namespace, which nobody may be in yet, and enters it: before Linux 6.1
    /// an execution alone would not (time_namespaces(7)).
    fn enter_time(&self) -> Result<(), Error> {
        if let Some(offsets) = &self.offsets {
            std::fs::write("/proc/self/timens_offsets", offsets)
                .during("write", || format!("{offsets:?} to /proc/self/timens_offsets"))
                .step(|| "linux.timeOffsets".into())?;
        }
        let path = "/proc/self/ns/time_for_children";
        let own = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .during("open", || path.into())?;
        set(&own, LinkNameSpaceType::Time)
    }
}

/// Joins the namespaces of the process that `container` (a pidfd) refers to, the PID namespace for what is cloned from
/// now on, and has its execution domain.
pub(crate) fn join_those_of(container: BorrowedFd<'_>) -> Result<(), Error> {
    use rustix::thread::ThreadNameSpaceType as Kind;
    let process = format!("/proc/{}", user_namespace::number(container)?);
    let id = |process: &str, kind: &str| {
        let path = format!("{process}/ns/{kind}");
        std::fs::read_link(&path).during("readlink", || path)
    };
    let mut kinds = Kind::MOUNT
        | Kind::CONTROL_GROUP
        | Kind::HOST_NAME_AND_NIS_DOMAIN_NAME
        | Kind::INTER_PROCESS_COMMUNICATION
        | Kind::NETWORK
        | Kind::PROCESS_ID;
    // The kernel refuses to let a process join the user namespace that it is in.
    let other_user = id(&process, "user")? != id("/proc/self", "user")?;
    for (kind, asked) in [
        (Kind::USER, other_user),
        (Kind::TIME, id(&process, "time").ok() != id("/proc/self", "time").ok()),
    ] {
        if asked {
            kinds |= kind;
        }
    }
    let personality = std::fs::read_to_string(format!("{process}/personality"));
    rustix::thread::move_into_thread_name_spaces(container, kinds)
        .during("setns", || "to the container's namespaces".into())?;
    let personality = personality.ok().and_then(|text| u32::from_str_radix(text.trim(), 16).ok());
    // linux/personality.h: PER_LINUX32.
    if personality == Some(8) {
        sandbar_sys::set_personality(8).during("personality", || "LINUX32".into())?;
    }
    if other_user { become_root() } else { Ok(()) }
}

/// Becomes the root user of the user namespace that this process has entered.
fn become_root() -> Result<(), Error> {
    let (uid, gid) = (Uid::ROOT, Gid::ROOT);
    let step = || "become the user namespace's root".to_owned();
    match rustix::thread::set_thread_groups(&[]) {
        // Where groups may not be dropped, nobody has more of them than before.
        Err(rustix::io::Errno::PERM) => {}
        done => done.during("setgroups", || "none".into()).step(step)?,
    }
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .during("setresgid", || "0".into())
        .step(step)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).during("setresuid", || "0".into()).step(step)
}

fn open(namespace: &LinuxNamespace) -> Result<Option<OwnedFd>, Error> {
    let Some(path) = namespace.path() else { return Ok(None) };
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .during("open", || path.display().to_string())
        .step(|| format!("join the {} namespace", namespace.typ()))
        .map(Some)
}

fn set(namespace: &OwnedFd, kind: LinkNameSpaceType) -> Result<(), Error> {
    rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(kind))
        .during("setns", || format!("{kind:?}"))
        .step(|| format!("join the {kind:?} namespace"))
}

/// The text of timens_offsets (time_namespaces(7)).
fn offsets(asked: &HashMap<String, LinuxTimeOffset>) -> Option<String> {
    let mut text = String::new();
    for (clock, offset) in asked {
        // Writing to a String can't fail.
        let _written = writeln!(
            text,
            "{clock} {} {}",
            offset.secs().unwrap_or(0),
            offset.nanosecs().unwrap_or(0)
        );
    }
    (!text.is_empty()).then_some(text)
}
