//! The process by which a scope of systemd begins.
//!
//! systemd starts a scope only with a process in it, and ends it with its last. The container's first process is to
//! be born into the scope's cgroup, so another holds its place until then: this program once more, which also speaks
//! D-Bus, for that takes threads, and a process with threads can't clone itself. It does as it is told on its
//! standard input, and ends with it.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, getpid};
use sandbar_cgroup::systemd::{
    self, Manager, Property, Unit, annotation_properties, limit_properties,
};
use sandbar_cgroup::{Cgroup, Limits};
use serde::{Deserialize, Serialize};

use super::bundle::Bundle;
use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};

/// By which the process is asked for.
pub(super) const COMMAND: &str = "systemd-scope";

/// Hold the place of a container's first process
#[derive(Debug, clap::Args)]
pub(super) struct Placeholder {}

/// What it is told first: a line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    unit: Unit,
    /// What the unit begins with.
    first: Vec<Property>,
    /// What it has when the placeholder leaves.
    last: Vec<Property>,
}

impl Placeholder {
    pub(super) fn execute(self) -> Result<Exit> {
        let Self {} = self;
        let action = "hold a place in a scope of systemd";
        let mut lines = io::stdin().lock().lines();
        let Some(line) = lines.next() else {
            return Err(Failure::new(format!("cannot {action}: nobody says which"))
                .hint("it is for this program alone"));
        };
        let request: Request = serde_json::from_str(&line.doing(action)?).doing(action)?;
        let unit = &request.unit;
        let manager = Manager::connect()
            .and_then(|manager| manager.start(unit, getpid(), &request.first).map(|()| manager));
        let manager = answer(manager)?;
        // The end of the input says that the container is not made after all.
        if lines.next().is_some() {
            answer(manager.set(unit, &request.last))?;
        }
        Ok(Exit::SUCCESS)
    }
}

/// Says how it went: a line of JSON, with why if it failed, which nobody else has to say then.
fn answer<T>(done: sandbar_cgroup::Result<T>) -> Result<T> {
    let why = done.as_ref().err().map(|error| {
        let causes = std::iter::successors(Some(error as &dyn Error), |error| (*error).source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    });
    let text = serde_json::to_string(&why).doing("answer")?;
    writeln!(io::stdout().lock(), "{text}").doing("answer")?;
    done.map_err(|_said| Failure::Said(None))
}

/// A scope with a placeholder, which leaves when this is dropped.
#[derive(Debug)]
pub(super) struct Scope {
    action: String,
    process: Child,
    /// `None` when it has been told to leave.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Scope {
    /// Has systemd start `unit`, whose cgroup is `cgroup`, for a container of `bundle` with the limits `first`, and
    /// `last` from when the placeholder leaves.
    pub(super) fn start(
        unit: &Unit,
        cgroup: &Cgroup,
        bundle: &Bundle,
        [first, last]: [&Limits; 2],
    ) -> Result<Self> {
        let action = format!("start systemd's unit {}", unit.name());
        let description = format!("container of {}", bundle.path.display());
        let mut properties = vec![Property::new("Description", description.as_str())];
        if !unit.is_slice() {
            // One whose processes were ended for want of memory is forgotten like any other.
            properties.push(Property::new("CollectMode", "inactive-or-failed"));
        }
        properties.extend(limit_properties(cgroup.hierarchy(), first).doing(&action)?);
        let annotations = bundle.annotations();
        let asked = annotations.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        for property in annotation_properties(asked).doing(&action)? {
            properties.retain(|ours| ours.name != property.name);
            properties.push(property);
        }
        let last = limit_properties(cgroup.hierarchy(), last).doing(&action)?;
        let request = Request { unit: unit.clone(), first: properties, last };
        let mut process = Command::new("/proc/self/exe")
            .arg0("sandbar-oci")
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing(&action)?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Failure::new(format!("cannot {action}: no pipes")));
        };
        let mut scope =
            Self { action, process, input: Some(input), output: BufReader::new(output) };
        let request = serde_json::to_string(&request).doing(&scope.action)?;
        scope.tell(&request)?;
        Ok(scope)
    }

    /// Refuses a unit whose cgroup is not where its name says: then systemd sees another hierarchy than we do.
    pub(super) fn must_be_at(&self, path: &str) -> Result<()> {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { return Ok(()) };
        let found = systemd::place_of(pid).doing(&self.action)?;
        if found != path {
            return Err(Failure::new(format!(
                "cannot {}: its cgroup is {found}, not {path}",
                self.action
            )));
        }
        Ok(())
    }

    /// Lets the placeholder go: another process is in the cgroup.
    pub(super) fn leave(mut self) -> Result<()> {
        self.tell("")
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        let action = || &self.action;
        if let Some(input) = &mut self.input {
            writeln!(input, "{line}").doing(action())?;
        }
        let mut answer = String::new();
        self.output.read_line(&mut answer).doing(action())?;
        match serde_json::from_str(&answer) {
            Ok(None::<String>) => Ok(()),
            Ok(Some(why)) => Err(Failure::new(why)),
            Err(_ended) => Err(Failure::new(format!("cannot {}: it was ended", self.action))),
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.input = None;
        // It ends with its input; nothing else is known of it that matters now.
        let _status = self.process.wait();
    }
}
