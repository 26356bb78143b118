//! `sandbar oci exec`.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::path::PathBuf;

use oci_spec::runtime::{Capability, ContainerState, LinuxCapabilities, Process as Spec};
use rustix::process::Pid;
use sandbar_runtime::{Process, Starting, Stdio};

use super::options::ProcessOptions;
use super::process::{attend, follow, stdio};
use super::record::{Directory, Record, Status};
use super::{Context, safety};
use crate::attach::signals;
use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};

/// Run a further process in a container
#[derive(Debug, clap::Args)]
pub(super) struct Exec {
    #[command(flatten)]
    process: ProcessOptions,
    /// Do not wait for its end
    #[arg(short, long)]
    detach: bool,
    /// Read the process's specification from this file
    #[arg(short = 'p', long = "process", value_name = "FILE", conflicts_with_all = [
        "cwd", "env", "user", "additional_gids", "cap", "no_new_privs", "command",
    ])]
    specification: Option<PathBuf>,
    /// Its working directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Set a variable
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// Its user and group, by number
    #[arg(short, long, value_name = "UID[:GID]")]
    user: Option<String>,
    /// A further group, by number
    #[arg(short = 'g', long, value_name = "GID")]
    additional_gids: Vec<u32>,
    /// A further capability
    #[arg(short, long, value_name = "CAPABILITY")]
    cap: Vec<String>,
    /// It gets no privileges that it does not begin with
    #[arg(long)]
    no_new_privs: bool,
    /// A cgroup below the container's
    #[arg(long, value_name = "PATH")]
    cgroup: Option<String>,
    /// Run it in a paused container too: when that is resumed
    #[arg(long)]
    ignore_paused: bool,
    /// The container's id
    id: String,
    /// The program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Exec {
    pub(super) fn execute(self, context: &Context) -> Result<Exit> {
        safety::protect_program()?;
        let directory = Directory::new(&context.root, &self.id)?;
        let record = directory.record()?;
        let action = format!("run a process in container {}", self.id);
        match directory.status(&record) {
            Status::Running | Status::Created => {}
            Status::Paused if self.ignore_paused => {}
            Status::Paused => {
                return Err(Failure::new(format!("cannot {action}: it is paused"))
                    .hint("--ignore-paused runs it when the container is resumed"));
            }
            status => {
                let status = status.as_str();
                return Err(Failure::new(format!(
                    "cannot {action}: container not running: it is {status}"
                )));
            }
        }
        let bundle = directory.spec()?;
        let spec = self.specification(bundle.process().clone().unwrap_or_default())?;
        let terminal = spec.terminal().unwrap_or(false);
        self.process.check(terminal, self.detach)?;
        let profile = bundle.linux().as_ref().and_then(|linux| linux.seccomp().clone());
        let process = Process {
            spec,
            stdio: stdio(terminal)?,
            seccomp: false,
            profile,
            state: Some(record.state(ContainerState::Running)),
            preserved_descriptors: self.process.preserve_fds,
            new_keyring: record.new_keyring,
        };
        self.run(context, &record, &action, process)
    }

    fn run(
        &self,
        context: &Context,
        record: &Record,
        action: &str,
        process: Process,
    ) -> Result<Exit> {
        let has_terminal = matches!(process.stdio, Stdio::Terminal);
        let arguments = process.spec.args().as_deref().unwrap_or_default();
        let program = arguments.first().cloned().unwrap_or_default();
        let first = record.process.and_then(|it| Pid::from_raw(it.pid).zip(it.pidfd()));
        let (first, container) =
            first.ok_or_else(|| Failure::new(format!("cannot {action}: container not running")))?;
        let entry = self.entry(record, first)?;
        let shown = has_terminal && self.process.console_socket.is_none();
        let signals = signals(shown)?;
        let into_cgroup = entry.clone_into.as_ref().map(AsFd::as_fd);
        let tasks = entry.tasks.iter().map(AsFd::as_fd).collect();
        let container = container.as_fd();
        let mut starting = sandbar_runtime::start_in(container, into_cgroup, tasks, || Ok(process))
            .map_err(|error| super::failure_of_start(action, &program, &error))?;
        let mut terminal = None;
        follow(context, action, &program, &mut starting, &mut terminal)?;
        let Starting { pid, pidfd, .. } = starting;
        self.process.send_terminal(terminal.as_ref().map(AsFd::as_fd))?;
        self.process.write_pid(Pid::as_raw_nonzero(pid).get())?;
        if self.detach {
            return Ok(Exit::SUCCESS);
        }
        attend(pid, &pidfd, terminal.as_ref().filter(|_| shown), signals)
    }

    /// The container's cgroup or, where that has none but those below, that of its `first` process; or that below
    /// it which was asked for.
    fn entry(&self, record: &Record, first: Pid) -> Result<sandbar_cgroup::Entry> {
        let cgroup = record.cgroup.cgroup()?;
        let action = || format!("use the cgroup {}", cgroup.path());
        let mut entry = match &self.cgroup {
            None => cgroup.entry_beside(first).doing(action())?,
            Some(below) => {
                let path = cgroup.path().join(below.trim_matches('/')).doing("use --cgroup")?;
                let below = cgroup.hierarchy().open(&path);
                below.entry().doing(format!("use the cgroup {path}"))?
            }
        };
        record.cgroup.lead_into(&mut entry, &cgroup)?;
        Ok(entry)
    }

    /// What is to be run: the file's, or the container's `own` with what was asked for in its place.
    fn specification(&self, own: Spec) -> Result<Spec> {
        if let Some(path) = &self.specification {
            let action = || format!("read {}", path.display());
            let text = std::fs::read(path).doing(action())?;
            let mut spec: Spec = super::json::read(path.display(), &text)?;
            // What it does not say is as in the container, so that it is no less confined.
            if spec.apparmor_profile().is_none() {
                spec.set_apparmor_profile(own.apparmor_profile().clone());
            }
            if spec.selinux_label().is_none() {
                spec.set_selinux_label(own.selinux_label().clone());
            }
            if spec.no_new_privileges().is_none() {
                spec.set_no_new_privileges(own.no_new_privileges());
            }
            if spec.rlimits().is_none() {
                spec.set_rlimits(own.rlimits().clone());
            }
            if self.tty {
                spec.set_terminal(Some(true));
            }
            return Ok(spec);
        }
        if self.command.is_empty() {
            return Err(Failure::new(format!("what is to be run in container {}?", self.id))
                .hint(format!("sandbar oci exec {} COMMAND", self.id)));
        }
        let mut spec = own;
        spec.set_args(Some(self.command.clone()));
        spec.set_terminal(Some(self.tty));
        if let Some(cwd) = &self.cwd {
            spec.set_cwd(cwd.clone());
        }
        let mut environment = spec.env().clone().unwrap_or_default();
        environment.extend(self.env.iter().cloned());
        spec.set_env(Some(environment));
        if self.no_new_privs {
            spec.set_no_new_privileges(Some(true));
        }
        let mut user = spec.user().clone();
        if let Some(asked) = &self.user {
            let (uid, gid) = parse_user(asked)?;
            user.set_uid(uid);
            if let Some(gid) = gid {
                user.set_gid(gid);
            }
        }
        if !self.additional_gids.is_empty() {
            let mut gids = user.additional_gids().clone().unwrap_or_default();
            gids.extend(&self.additional_gids);
            user.set_additional_gids(Some(gids));
        }
        spec.set_user(user);
        if !self.cap.is_empty() {
            let capabilities = spec.capabilities().clone().unwrap_or_default();
            spec.set_capabilities(Some(with(capabilities, &self.cap)?));
        }
        Ok(spec)
    }
}

fn parse_user(asked: &str) -> Result<(u32, Option<u32>)> {
    let (uid, gid) = asked.split_once(':').map_or((asked, None), |(uid, gid)| (uid, Some(gid)));
    let number = |text: &str| {
        text.parse::<u32>().map_err(|_not_a_number| {
            Failure::new(format!("invalid --user {asked:?}: UID[:GID], both by number, is needed"))
        })
    };
    Ok((number(uid)?, gid.map(number).transpose()?))
}

/// `capabilities` with `more` in the sets that matter to a program that is executed.
fn with(mut capabilities: LinuxCapabilities, more: &[String]) -> Result<LinuxCapabilities> {
    let mut wanted = HashSet::new();
    for name in more {
        let upper = name.to_ascii_uppercase();
        let upper = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
        let capability: Capability = serde_json::from_value(upper.into())
            .map_err(|_unknown| Failure::new(format!("unknown capability {name:?}")))?;
        wanted.insert(capability);
    }
    let union = |set: &Option<HashSet<Capability>>| {
        Some(set.iter().flatten().chain(&wanted).copied().collect::<HashSet<_>>())
    };
    capabilities.set_bounding(union(capabilities.bounding()));
    capabilities.set_permitted(union(capabilities.permitted()));
    capabilities.set_effective(union(capabilities.effective()));
    Ok(capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_10_a_user_is_two_numbers_or_refused() {
        assert_eq!(parse_user("1000").unwrap(), (1000, None));
        assert_eq!(parse_user("1:2").unwrap(), (1, Some(2)));
        for wrong in ["", "root", "4294967296", "-1", "1:", "1:2:3"] {
            assert!(parse_user(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn capabilities_are_added_by_name() {
        let with = with(LinuxCapabilities::default(), &["net_raw".to_owned()]).unwrap();
        assert!(with.bounding().as_ref().is_some_and(|set| set.contains(&Capability::NetRaw)));
        assert!(super::with(LinuxCapabilities::default(), &["fly".to_owned()]).is_err());
    }
}
