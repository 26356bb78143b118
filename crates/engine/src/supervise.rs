//! Being a pod's supervisor: what the program does that [`Engine`](crate::Engine) starts for each pod.

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::process::DumpableBehavior;
use sandbar_spec::PodId;
use sandbar_supervisor::{Given, SandboxNamespaces};
use sandbar_sys::{During, take_inherited};

use crate::descriptors;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::firewall::Watches;
use crate::roots::Roots;

/// What such a process is called.
pub(crate) const NAME: &str = "sandbar-supervisor";

/// Supervises the pod that `arguments` (without the program's name) name, then cleans up after it.
///
/// # Errors
/// What keeps the supervisor from beginning, or from cleaning up.
pub fn supervise(arguments: impl Iterator<Item = OsString>) -> Result<(), Error> {
    let arguments: Vec<OsString> = arguments.collect();
    let [root, run_root, id, kinds, limit, lingering] = &arguments[..] else {
        return Err(Error::new(Kind::Invalid, "a supervisor is started by sandbar, never by hand"));
    };
    let text = |argument: &OsString| argument.to_string_lossy().into_owned();
    let roots = Roots { root: PathBuf::from(root), run_root: PathBuf::from(run_root) };
    let id: PodId = text(id).parse()?;
    let mut numbers = 3..;
    let mut next = || -> Result<OwnedFd, Error> {
        numbers.next().and_then(take_inherited).ok_or_else(|| {
            Error::new(Kind::Invalid, "a supervisor was started without its descriptors")
        })
    };
    let (file, lock, listener, client) = (next()?, next()?, next()?, next()?);
    let mut namespaces = SandboxNamespaces::default();
    let mut watches = Watches::default();
    for kind in text(kinds).chars() {
        let slot = match kind {
            'n' => &mut namespaces.net,
            'i' => &mut namespaces.ipc,
            'w' => &mut watches.rules,
            'h' => &mut watches.host,
            _ => &mut namespaces.uts,
        };
        *slot = Some(next()?);
    }
    let mut some = |count: &OsString| -> Result<Vec<OwnedFd>, Error> {
        (0..text(count).parse().unwrap_or(0)).map(|_| next()).collect()
    };
    // Open until the very end: closing them could make others wait (sandbar_network::Lingering).
    let _lingering = some(lingering)?;
    // Each port that it is handed is one, and how many there will be nobody knows.
    descriptors::raise()?;
    sandbar_sys::unblock_signals();
    // Its children hold copies of all it has until they execute, in namespaces that containers see: none of
    // those may look into them (CVE-2016-9962). Executing makes a process accessible again.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .during("prctl", || "PR_SET_DUMPABLE 0".into())?;
    // Shown by ps and top, where the kernel would show the number of a descriptor.
    let _shown = rustix::thread::set_name(c"sandbar-supervi");
    let remover = remover(&roots)?;
    let engine = Engine::open(roots)?;
    // Plugins undo what they did in there while it is still there.
    let netns = match namespaces.net.as_ref().filter(|_| engine.is_connected_by_cni(&id)) {
        Some(net) => Some(
            net.try_clone()
                .map_err(|error| Error::caused(Kind::System, "dup the network namespace", error))?,
        ),
        None => None,
    };
    let program = file
        .try_clone()
        .map_err(|error| Error::caused(Kind::System, "dup the program's file", error))?;
    let mut ended = sandbar_supervisor::run(Given {
        directory: engine.roots.pod(&id),
        listener,
        first_client: Some(client),
        lock,
        namespaces,
        guard: engine.guard(&id, watches, program)?,
        descriptors: text(limit).parse().ok(),
        remover: (file, remover),
    })?;
    let pod = ended.config.clone();
    let (gone, lingering) = engine.pod_ended(&pod, netns.as_ref().map(AsFd::as_fd));
    drop(netns);
    if matches!(gone, Ok(true)) {
        // Who waits is told now: the interface goes with its namespace, in the kernel's own time.
        drop(ended);
        lingering.close_at_leisure();
        return Ok(());
    }
    // A pod that stays can be started again as soon as this process has ended: its interface's name is free
    // by then.
    ended.tell_clients();
    let detached = engine.detach_all(&pod.id);
    drop(ended);
    lingering.close_at_leisure();
    gone.and(detached)
}

/// How a container of a pod that goes on is removed: by a command of its own.
fn remover(roots: &Roots) -> Result<Vec<CString>, Error> {
    let words = [
        b"sandbar".as_slice(),
        b"--root",
        roots.root.as_os_str().as_bytes(),
        b"--run-root",
        roots.run_root.as_os_str().as_bytes(),
        b"rm",
        b"--force",
    ];
    words
        .into_iter()
        .map(|word| {
            CString::new(word).map_err(|_nul| Error::new(Kind::Invalid, "a path holds a NUL byte"))
        })
        .collect()
}
