//! Starting a network's resolver, and being one.

use std::ffi::{CString, OsString};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::DumpableBehavior;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sandbar_sys::{During, Program, take_inherited};

use crate::directory::NetworkDirectory;
use crate::error::{Error, Result};
use crate::listen::Listening;
use crate::server::{Options, serve};
use crate::siblings::Siblings;
use crate::{privileges, watch::Watch};

/// What a resolver's process is called: the first argument by which the program is to know that it is one.
pub const PROGRAM_NAME: &str = "sandbar-resolver";

/// Where the host says which resolvers it uses.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How long the sockets of a resolver that has just let its lock go may still be there.
const LONGEST_END: Duration = Duration::from_secs(1);

/// What the resolver's second argument is if it is not to stay in its starter's mount namespace.
const OUTSIDE: &str = "outside";

/// Where a resolver is to see the host's files.
#[derive(Clone, Copy, Debug)]
pub struct Outside<'a> {
    /// The mount namespace.
    pub mounts: BorrowedFd<'a>,
    /// The root directory in it.
    pub root: BorrowedFd<'a>,
}

/// How a resolver is to be started.
#[derive(Debug)]
pub struct Start<'a> {
    /// The program, which calls [`resolve`] when its first argument is [`PROGRAM_NAME`].
    pub program: BorrowedFd<'a>,
    /// cgroup v1 `tasks` files of the cgroups to begin in.
    pub cgroup_tasks: Vec<BorrowedFd<'a>>,
    /// The cgroup v2 directory to begin in.
    pub into_cgroup: Option<BorrowedFd<'a>>,
    /// The mount namespace to run in; the starter's if none. One that holds mounts of the starter's own would keep
    /// them for as long as the resolver lives.
    pub outside: Option<Outside<'a>>,
    /// How long to wait for an address that another has.
    pub patience: Duration,
}

impl<'a> Start<'a> {
    /// In the starter's cgroup and mount namespace, with the patience to wait for the end of an earlier resolver.
    #[must_use]
    pub fn new(program: BorrowedFd<'a>) -> Self {
        let (cgroup_tasks, into_cgroup, outside) = (Vec::new(), None, None);
        Self { program, cgroup_tasks, into_cgroup, outside, patience: LONGEST_END }
    }

    /// Makes sure that the network of `directory` has a resolver, which is found by the lock that it holds.
    /// Whether one was started. Questions that are asked from now on have their answer.
    ///
    /// To be called in the network namespace in which the gateway's addresses and the host's resolvers are
    /// reached.
    ///
    /// # Errors
    /// [`AddressTaken`](crate::ErrorKind::AddressTaken) if another program listens there; else as for the
    /// files.
    pub fn ensure(&self, directory: &NetworkDirectory) -> Result<bool> {
        let network = directory.read()?;
        let Some(lock) = directory.try_lock()? else { return Ok(false) };
        let deadline = Instant::now() + self.patience;
        let listen = |address: &IpAddr| Listening::bind(*address, deadline);
        let sockets: Vec<Listening> = network.listen.iter().map(listen).collect::<Result<_>>()?;
        let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .during("open", || "/dev/null".into())?;
        let mut descriptors = vec![null.as_fd(), null.as_fd(), null.as_fd(), lock.as_fd()];
        descriptors.extend(self.outside.iter().flat_map(|it| [it.mounts, it.root]));
        for socket in &sockets {
            descriptors.extend([socket.udp.as_fd(), socket.tcp.as_fd()]);
        }
        let path = directory.path();
        let argument = |text: &[u8]| {
            CString::new(text).map_err(|_nul| {
                Error::invalid(format!("directory '{}' holds a NUL byte", path.display()))
            })
        };
        let mut arguments =
            vec![argument(PROGRAM_NAME.as_bytes())?, argument(path.as_os_str().as_bytes())?];
        if self.outside.is_some() {
            arguments.push(argument(OUTSIDE.as_bytes())?);
        }
        let program = Program {
            file: self.program,
            arguments,
            environment: Vec::new(),
            descriptors,
            cgroup_tasks: self.cgroup_tasks.clone(),
            into_cgroup: self.into_cgroup,
        };
        program
            .start_detached()
            .during("start", || format!("{PROGRAM_NAME} {}", path.display()))?;
        Ok(true)
    }
}

/// Is the resolver that [`Start::ensure`] started with these `arguments` (without the program's name), until
/// its network has no endpoint for three seconds or `names` is removed. To be called first of all, by the
/// only thread.
///
/// # Errors
/// What keeps it from beginning.
pub fn resolve(arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let by_hand = || Error::invalid("a resolver is started by sandbar, never by hand");
    let arguments: Vec<OsString> = arguments.collect();
    let (path, is_outside) = match &arguments[..] {
        [path] => (path, false),
        [path, outside] if outside == OUTSIDE => (path, true),
        _ => return Err(by_hand()),
    };
    let directory = NetworkDirectory::new(path);
    let mut inherited = (3..).map_while(take_inherited);
    let lock = inherited.next().ok_or_else(by_hand)?;
    if is_outside {
        let (mounts, root) = inherited.next().zip(inherited.next()).ok_or_else(by_hand)?;
        enter(Outside { mounts: mounts.as_fd(), root: root.as_fd() })?;
    }
    let given: Vec<OwnedFd> = inherited.collect();
    let mut sockets = Vec::new();
    let mut given = given.into_iter();
    while let (Some(udp), Some(tcp)) = (given.next(), given.next()) {
        sockets.push(Listening { udp: UdpSocket::from(udp), tcp: TcpListener::from(tcp) });
    }
    sandbar_sys::unblock_signals();
    // Shown by ps and top, where the kernel would show the number of a descriptor.
    let _shown = rustix::thread::set_name(c"sandbar-resolve");
    let network = directory.read()?;
    // Opened while the directory above it can be entered.
    let watch = Watch::open(&directory.names())?;
    let siblings = Siblings::open(directory.path())?;
    privileges::give_up()?;
    // Nobody is not alone: others of that name are not to look into it.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .during("prctl", || "PR_SET_DUMPABLE 0".into())?;
    sandbar_sys::trim_heap();
    sandbar_sys::release_program();
    let resolv_conf = RESOLV_CONF.into();
    serve(Options { network, sockets, resolv_conf, watch, siblings, lock })
}

/// Sees the host's files there from now on.
fn enter(outside: Outside<'_>) -> Result<()> {
    let kind = Some(LinkNameSpaceType::Mount);
    move_into_link_name_space(outside.mounts, kind).during("setns", || "CLONE_NEWNS".into())?;
    rustix::process::fchdir(outside.root).during("fchdir", || "the root directory".into())?;
    rustix::process::chroot(".").during("chroot", || ".".into())?;
    Ok(())
}
