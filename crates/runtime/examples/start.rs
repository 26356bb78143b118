//! Starts the container of a bundle and waits for its end: `start BUNDLE`; with `start BUNDLE COMMAND…`
//! the command runs in it too, and its end is the container's. Its exit status is the
//! container's, and 125 if it could not be started; what was told on the way is on standard error.
#![allow(clippy::print_stderr, reason = "it is a program")]

use std::error::Error;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::process::{WaitId, WaitIdOptions};
use sandbar_runtime::{
    Checked, Container, Event, PidNamespace, Placement, Process, Rootfs, Starting, Stdio, anchor,
    start, start_in,
};

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(125)
        }
    }
}

fn run() -> Result<u8, Box<dyn Error>> {
    let bundle = std::env::args_os().nth(1).ok_or("usage: start BUNDLE")?;
    let bundle = std::fs::canonicalize(bundle)?;
    let mut spec: Spec = serde_json::from_slice(&std::fs::read(bundle.join("config.json"))?)?;
    let root = anchor(&mut spec, &bundle)?;
    let mount_point: PathBuf = bundle.join("mounted");
    std::fs::create_dir_all(&mount_point)?;
    let has = |kind| {
        let list = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref());
        list.unwrap_or_default().iter().any(|namespace| namespace.typ() == kind)
    };
    let pid_namespace = match (has(LinuxNamespaceType::Pid), has(LinuxNamespaceType::User)) {
        (true, true) => PidNamespace::NewInUserNamespace,
        (true, false) => PidNamespace::New,
        (false, _) => PidNamespace::Inherited,
    };
    let placement = Placement { pid_namespace, into_cgroup: None, cgroup_tasks: vec![] };
    let mut terminal: Option<OwnedFd> = None;
    let stdio =
        if spec.process().as_ref().and_then(oci_spec::runtime::Process::terminal) == Some(true) {
            Stdio::Terminal
        } else {
            Stdio::Descriptors(streams()?)
        };
    let further: Vec<String> = std::env::args().skip(2).collect();
    let process = spec.process().clone();
    let mut starting = start(&placement, || {
        Ok(Container {
            spec: Checked::new(spec)?,
            rootfs: Rootfs::Directory(root),
            mount_point,
            stdio,
            seccomp: false,
            state: None,
            pivot: true,
            gate: None,
            preserved_descriptors: 0,
            new_keyring: true,
        })
    })?;
    follow(&mut starting, &mut terminal)?;
    if let (false, Some(mut spec)) = (further.is_empty(), process) {
        spec.set_args(Some(further));
        let stdio = Stdio::Descriptors(streams()?);
        let prepare = || {
            let (profile, state) = (None, None);
            Ok(Process {
                spec,
                stdio,
                seccomp: false,
                profile,
                state,
                preserved_descriptors: 0,
                new_keyring: true,
            })
        };
        let mut second = start_in(starting.pidfd.as_fd(), None, Vec::new(), prepare)?;
        follow(&mut second, &mut terminal)?;
        let code = wait(&second)?;
        rustix::process::pidfd_send_signal(&starting.pidfd, rustix::process::Signal::KILL)?;
        wait(&starting)?;
        return Ok(code);
    }
    if let Some(terminal) = terminal {
        // Ends with EIO when the container's side is closed.
        let _end = std::io::copy(&mut std::fs::File::from(terminal), &mut std::io::stdout());
    }
    wait(&starting)
}

fn streams() -> std::io::Result<[OwnedFd; 3]> {
    Ok([
        std::io::stdin().as_fd().try_clone_to_owned()?,
        std::io::stdout().as_fd().try_clone_to_owned()?,
        std::io::stderr().as_fd().try_clone_to_owned()?,
    ])
}

/// Follows a start until the program runs.
fn follow(starting: &mut Starting, terminal: &mut Option<OwnedFd>) -> Result<(), Box<dyn Error>> {
    loop {
        match starting.next_event()? {
            Event::Told(text) => eprintln!("told: {text}"),
            Event::Terminal(other) => *terminal = Some(other),
            Event::Failed(error) => return Err(format!("{:?}: {error}", error.kind()).into()),
            Event::Prepared | Event::Created => unreachable!("there is no gate"),
            Event::Running => return Ok(()),
        }
    }
}

fn wait(starting: &Starting) -> Result<u8, Box<dyn Error>> {
    let process = WaitId::PidFd(starting.pidfd.as_fd());
    let status = rustix::process::waitid(process, WaitIdOptions::EXITED)?.ok_or("it is gone")?;
    let code =
        status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    Ok(u8::try_from(code.unwrap_or(125))?)
}
