//! What is done when a process ends.

use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions, WaitStatus};
use sandbar_spec::control::Reply;
use sandbar_spec::{ContainerId, ContainerState, ExitCode};

use crate::cgroups;
use crate::member::{Phase, Waiter};
use crate::poll::Serial;
use crate::supervisor::Supervisor;

/// How long the processes that a container's first one left behind may take to end after SIGKILL.
const LEFT_BEHIND: Duration = Duration::from_secs(5);

impl Supervisor {
    /// Collects every child that has ended.
    pub(crate) fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let code = exit_code(status);
            if !self.exec_ended(pid, code) {
                self.process_ended(pid, code);
            }
        }
    }

    fn process_ended(&mut self, pid: Pid, code: ExitCode) {
        let found = self.members.iter().find(|(_, member)| member.pid() == Some(pid));
        // Others are orphans of containers in the host's PID namespace, or children that failed to start.
        let Some(id) = found.map(|(id, _)| id.clone()) else { return };
        // It may have reported why before it ended.
        self.follow_start(&id);
        if self.members.get(&id).and_then(crate::member::Member::pid) == Some(pid) {
            self.container_ended(&id, code);
        }
    }

    /// An adopted process has ended. Its exit status went to another parent: it is unknown.
    pub(crate) fn adopted_ended(&mut self, serial: Serial) {
        let found = self.members.iter().find(|(_, member)| {
            member.running().is_some_and(|running| running.adopted == Some(serial))
        });
        if let Some(id) = found.map(|(id, _)| id.clone()) {
            self.container_ended(&id, ExitCode::Unknown);
        }
    }

    /// A container's first process has ended: so does the container.
    fn container_ended(&mut self, id: &ContainerId, code: ExitCode) {
        let out_of_memory = self.clear_cgroup(id);
        let is_pause = self.config.pause.as_ref() == Some(id);
        let pod_stops = self.stopping.is_some();
        let Some(member) = self.members.get_mut(id) else { return };
        let (ran, asked) = match std::mem::replace(&mut member.phase, Phase::Idle) {
            Phase::Running(running) => {
                let ran = (running.since.elapsed(), running.asked_to_end);
                self.poll.close(running.pidfd);
                ran
            }
            _ => (Duration::ZERO, false),
        };
        member.holders.clear();
        member.status.state = ContainerState::Exited;
        member.status.pid = None;
        member.status.pid_start = None;
        member.status.finished_at = Some(jiff::Timestamp::now());
        member.status.exit_code = Some(code);
        member.status.oom_killed = out_of_memory && code == ExitCode::Known(137);
        let again = !asked && !pod_stops && {
            is_pause || member.config.restart.restarts(code, member.status.restarts)
        };
        if again {
            // Pause comes back at once, unless it keeps failing.
            let first = is_pause && ran > Duration::from_secs(1);
            let wait = member.next_wait(ran);
            let wait = if first { Duration::ZERO } else { wait };
            member.phase = Phase::Restarting(Instant::now() + wait);
            member.status.state = ContainerState::Restarting;
        }
        self.let_go(id);
        if is_pause && again {
            self.tell_of_pause(code);
        }
    }

    /// Closes what belongs to a process that is no more, writes down how it ended and tells who waits.
    pub(crate) fn let_go(&mut self, id: &ContainerId) {
        let Some(member) = self.members.get_mut(id) else { return };
        for stream in std::mem::take(&mut member.streams) {
            if let Some(log) = &mut member.log {
                stream.drain_into(log);
            }
            stream.unwatch(&self.poll);
        }
        member.log = None;
        member.terminal = None;
        // A disk that is full loses the record, not the pod: who reads it finds no such process.
        let _saved = member.save();
        if member.is_active() {
            return;
        }
        let code = member.status.exit_code.unwrap_or(ExitCode::Unknown);
        let waiters = std::mem::take(&mut member.waiters);
        let removed = member.config.auto_remove.then(|| member.config.id.clone());
        let last = !self.members.values().any(crate::member::Member::is_active);
        for Waiter { client, .. } in waiters {
            self.reply(client, &Reply::Exited { code, last }, &[]);
        }
        self.removals.extend(removed);
        self.stop_goes_on();
    }

    /// Ends what is left in a container's cgroup and removes it. Whether the kernel had to end something in
    /// it for want of memory.
    pub(crate) fn clear_cgroup(&self, id: &ContainerId) -> bool {
        let Some(hierarchy) = &self.hierarchy else { return false };
        let Ok(path) = cgroups::container_cgroup(&self.config.id, id) else { return false };
        let cgroup = hierarchy.open(&path);
        let out_of_memory = cgroup.oom_kills().ok().flatten().unwrap_or(0) > 0;
        // What can't be ended or removed now is when the container, or its pod, is removed.
        if cgroup.is_populated().unwrap_or(false) {
            let _killed = cgroup.kill(LEFT_BEHIND);
        }
        let _removed = cgroup.remove(LEFT_BEHIND);
        out_of_memory
    }

    /// Writes down that pause came back, and why.
    fn tell_of_pause(&mut self, code: ExitCode) {
        let pause = &mut self.status.pause;
        pause.restarts += 1;
        let how = match code {
            ExitCode::Known(code) => format!("with exit code {code}"),
            ExitCode::Unknown => "unseen".to_owned(),
        };
        let consequence = if self.config.shared.pid {
            "; every process in the pod's PID namespace ended with it"
        } else {
            ""
        };
        pause.last_event = Some(format!(
            "{:.0} pause ended {how} and was brought back{consequence}",
            jiff::Timestamp::now()
        ));
        let _saved = crate::record::replace_record(&self.directory.status(), &self.status);
    }
}

/// How a child ended, as a shell would say it.
fn exit_code(status: WaitStatus) -> ExitCode {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => ExitCode::Known(status),
        (None, Some(signal)) => ExitCode::Known(128 + signal),
        (None, None) => ExitCode::Unknown,
    }
}
