//! What a program has to do before it is taken, each as process 1 of a PID namespace, on a machine of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::architecture::Architecture;
use super::toolchain::Toolchain;
use crate::shell;

/// How long anything may take before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

/// Leaves pause a child that is a zombie, and an orphan that will end later, in a process that is its own parent.
const BEREAVED: &str = r#"true & (sleep 1 &) ; exec "$@""#;

/// Runs a program, and looks whether it says its version, ends by signals, and leaves no zombie.
pub(crate) fn run(toolchain: &Toolchain, of: &Architecture, program: &[u8]) -> Result<()> {
    let scratch = toolchain.scratch()?;
    let file = scratch.path().join("pause");
    fs::write(&file, program)
        .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("can't write {}", file.display()))?;
    let machine = toolchain.machine(of);
    let said = shell::output(Command::new(&machine).arg(&file).args(["-x", "-v"]))?;
    let expected = concat!("pause ", env!("CARGO_PKG_VERSION"), "\n");
    if said != expected {
        bail!("-v says {said:?} and not {expected:?}");
    }
    ends_by(&machine, &file, Signal::TERM, "Shutting down, got signal: Terminated\n")?;
    ends_by(&machine, &file, Signal::INT, "Shutting down, got signal: Interrupt\n")
}

/// Starts it with children to reap, and sends it a signal once they are reaped.
fn ends_by(machine: &Path, file: &Path, signal: Signal, expected: &str) -> Result<()> {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "sh", "-c", BEREAVED, "pause"]);
    command.arg(machine).arg(file);
    let mut started = Started(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("can't run unshare")?,
    );
    let pause = started.settled()?;
    kill_process(pause, signal).context("can't send a signal")?;
    let code = started.end()?;
    let said = started.said()?;
    if code != Some(0) || said != expected {
        bail!("by {signal:?} it exits with {code:?} and says {said:?}, not 0 and {expected:?}");
    }
    Ok(())
}

/// `unshare` with pause below it. Both end with this.
struct Started(Child);

impl Started {
    /// Waits until pause waits and has no child any more; tells its process id.
    fn settled(&mut self) -> Result<Pid> {
        let below = |id: u32| -> Vec<u32> {
            let told = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
            told.unwrap_or_default().split(' ').filter_map(|it| it.parse().ok()).collect()
        };
        let parent = self.0.id();
        let id = wait_for("pause waits, with its children reaped", || {
            let pause = *below(parent).first()?;
            (ignores_children(pause) && below(pause).is_empty()).then_some(pause)
        })?;
        i32::try_from(id).ok().and_then(Pid::from_raw).context("no such process id")
    }

    fn end(&mut self) -> Result<Option<i32>> {
        let status = wait_for("pause ends", || self.0.try_wait().transpose())??;
        Ok(status.code())
    }

    /// All that it wrote, on whichever output. Only for what has ended.
    fn said(&mut self) -> Result<String> {
        let (out, err) = (self.0.stdout.take(), self.0.stderr.take());
        let (out, err) = (out.context("no output")?, err.context("no output")?);
        Ok(std::io::read_to_string(out)? + &std::io::read_to_string(err)?)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing of it is left.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Whether a process ignores SIGCHLD, which is the last thing that pause sees to before it waits.
fn ignores_children(id: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    ignored.is_some_and(|set| set & 1 << (Signal::CHILD.as_raw() - 1) != 0)
}

/// What comes of asking again and again, or an error should it take too long.
fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if start.elapsed() > PATIENCE {
            bail!("still not after {PATIENCE:?}: {what}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}
