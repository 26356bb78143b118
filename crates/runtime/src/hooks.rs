//! Hooks: programs that a specification has run at points of a container's life (`config.md`, "POSIX-platform
//! Hooks").

use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use oci_spec::runtime::Hook;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use sandbar_sys::During;

use crate::error::{Error, Kind, Step};

/// Runs `hooks` one after the other, each with the container's `state` (JSON) on its standard input.
///
/// A hook has the environment that it is given and no other. One that is not over after its `timeout` gets
/// SIGKILL, and has failed.
///
/// # Errors
/// At the first that can't be started, does not end in time or does not exit with 0; those after it are not run.
pub fn run_hooks(point: &str, hooks: &[Hook], state: &str) -> Result<(), Error> {
    hooks.iter().try_for_each(|hook| run(point, hook, state))
}

/// Refuses hooks that could not be run.
pub(crate) fn check(point: &str, hooks: Option<&[Hook]>) -> Result<(), Error> {
    for hook in hooks.unwrap_or_default() {
        let refuse = |what: &str| {
            let message = format!("hooks.{point} {}: {what}", hook.path().display());
            Err(Error::new(Kind::InvalidSpec, message))
        };
        if !hook.path().is_absolute() {
            return refuse("not an absolute path");
        }
        if hook.timeout().is_some_and(|seconds| seconds <= 0) {
            return refuse("its timeout must be more than 0");
        }
        let malformed = |variable: &String| !variable.contains('=') || variable.contains('\0');
        if hook.env().iter().flatten().any(malformed) {
            return refuse("its env must be of the form NAME=VALUE");
        }
    }
    Ok(())
}

fn run(point: &str, hook: &Hook, state: &str) -> Result<(), Error> {
    let path = hook.path();
    let failed = |what: String| {
        let message = format!("hooks.{point} {}: {what}", path.display());
        Error::new(Kind::Hook, message)
    };
    let mut command = Command::new(path);
    if let Some((name, arguments)) = hook.args().as_deref().and_then(<[String]>::split_first) {
        command.arg0(name);
        command.args(arguments);
    }
    command.env_clear();
    command.envs(hook.env().iter().flatten().filter_map(|variable| variable.split_once('=')));
    command.process_group(0);
    // A file, so that one which does not read it holds up nobody and breaks no pipe.
    let input = memfd_create("state", MemfdFlags::CLOEXEC).during("memfd_create", String::new)?;
    let mut input = File::from(input);
    input
        .write_all(state.as_bytes())
        .and_then(|()| input.rewind())
        .map_err(|error| failed(format!("its input can't be made: {error}")))?;
    command.stdin(input).stdout(Stdio::null()).stderr(Stdio::inherit());
    let mut child =
        command.spawn().map_err(|error| failed(format!("it can't be executed: {error}")))?;
    let limit = hook.timeout().and_then(|seconds| u64::try_from(seconds).ok());
    let limit = limit.map(Duration::from_secs);
    if !ends_within(&child, limit)? {
        // With all that it started, unless that has made itself independent.
        if let Some(group) = process_of(&child) {
            let _killed = kill_process_group(group, Signal::KILL);
        }
        let _reaped = child.wait();
        let seconds = limit.unwrap_or_default().as_secs();
        return Err(failed(format!("it was not over after {seconds} s, and was killed")));
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(format!("it failed: {status}"))),
        Err(error) => Err(failed(format!("its end is not known: {error}"))),
    }
}

fn process_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Waits for the end of `child`, `limit` at the most.
fn ends_within(child: &Child, limit: Option<Duration>) -> Result<bool, Error> {
    let Some(limit) = limit else { return Ok(true) };
    let Some(pid) = process_of(child) else { return Ok(true) };
    let pidfd = pidfd_open(pid, PidfdFlags::empty())
        .during("pidfd_open", || pid.to_string())
        .step(|| "wait for a hook".into())?;
    sandbar_sys::ends_within(&pidfd, limit)
        .during("poll", || "a hook's pidfd".into())
        .map_err(Error::from)
}
