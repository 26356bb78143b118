//! Starts the container of a bundle and waits for its end: `start BUNDLE`. Its exit status is the
//! container's, and 125 if it could not be started; what was told on the way is on standard error.
#![allow(clippy::print_stderr, reason = "it is a program")]

use std::error::Error;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use rustix::process::{WaitId, WaitIdOptions};
use sandbar_runtime::{Container, Event, PidNamespace, Placement, Rootfs, Stdio, anchor, start};

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
    let stdio = [
        std::io::stdin().as_fd().try_clone_to_owned()?,
        std::io::stdout().as_fd().try_clone_to_owned()?,
        std::io::stderr().as_fd().try_clone_to_owned()?,
    ];
    let mut terminal: Option<OwnedFd> = None;
    let stdio =
        if spec.process().as_ref().and_then(oci_spec::runtime::Process::terminal) == Some(true) {
            Stdio::Terminal
        } else {
            Stdio::Descriptors(stdio)
        };
    let starting = start(&placement, || {
        Ok(Container {
            spec,
            rootfs: Rootfs::Directory(root),
            mount_point,
            stdio,
            seccomp: false,
            state: None,
            gate: None,
            preserved_descriptors: 0,
        })
    })?;
    loop {
        match starting.next()? {
            Event::Prepared | Event::Created => unreachable!("there is no gate"),
            Event::Told(text) => eprintln!("told: {text}"),
            Event::Terminal(other) => terminal = Some(other),
            Event::Failed(error) => return Err(format!("{:?}: {error}", error.kind()).into()),
            Event::Running => break,
        }
    }
    if let Some(terminal) = terminal {
        // Ends with EIO when the container's side is closed.
        let _end = std::io::copy(&mut std::fs::File::from(terminal), &mut std::io::stdout());
    }
    let ended =
        rustix::process::waitid(WaitId::PidFd(starting.pidfd.as_fd()), WaitIdOptions::EXITED)?;
    let status = ended.ok_or("it is gone")?;
    let code =
        status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    Ok(u8::try_from(code.unwrap_or(125))?)
}
