//! Ending containers on request: their stop signal, then SIGKILL when their time is over.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::process::{Signal, pidfd_send_signal};
use sandbar_spec::control::{Failure, Reply};
use sandbar_spec::{ContainerId, ContainerState, ExitCode};

use crate::member::{Member, Phase, Waiter};
use crate::poll::Serial;
use crate::requests::send;
use crate::supervisor::Supervisor;

impl Supervisor {
    pub(crate) fn request_stop(&mut self, client: Serial, id: &ContainerId, timeout: Option<u32>) {
        self.release(id);
        let Some(member) = self.members.get_mut(id) else { return self.not_running(client) };
        match &member.phase {
            Phase::Running(_) => {
                member.waiters.push(Waiter { client, printed: None });
                ask_to_end(member, timeout);
            }
            Phase::Restarting(_) => {
                member.waiters.push(Waiter { client, printed: None });
                self.give_up_restart(id);
            }
            Phase::Starting(_) => {
                member.waiters.push(Waiter { client, printed: None });
                member.end_wanted = Some(timeout);
            }
            Phase::Queued(..) => {
                self.give_up_start(id);
                self.reply(client, &Reply::Exited { code: ExitCode::Unknown, last: false }, &[]);
            }
            Phase::Idle => self.not_running(client),
        }
    }

    /// Every container but pause is asked to end; pause is when all others have (`stop_goes_on`).
    pub(crate) fn request_stop_pod(&mut self, client: Serial, timeout: Option<u32>) {
        self.stopping.get_or_insert_default().push(client);
        let pause = self.config.pause.clone();
        let others = self.members.keys().filter(|id| pause.as_ref() != Some(*id));
        for id in others.cloned().collect::<Vec<ContainerId>>() {
            self.release(&id);
            let Some(member) = self.members.get_mut(&id) else { continue };
            match &member.phase {
                Phase::Running(_) => ask_to_end(member, timeout),
                Phase::Restarting(_) => self.give_up_restart(&id),
                Phase::Starting(_) => member.end_wanted = Some(timeout),
                Phase::Queued(..) => self.give_up_start(&id),
                Phase::Idle => {}
            }
        }
        self.stop_goes_on();
    }

    /// Goes on with the stop of the pod that was asked for: what has come to run is asked to end, and pause
    /// when all others have.
    pub(crate) fn stop_goes_on(&mut self) {
        if self.stopping.is_none() {
            return;
        }
        let pause = self.config.pause.clone();
        let mut others = false;
        for (id, member) in &mut self.members {
            if pause.as_ref() == Some(id) {
                continue;
            }
            others |= member.is_active();
            if member.running().is_some_and(|running| !running.asked_to_end) {
                ask_to_end(member, None);
            }
        }
        if others {
            return;
        }
        let Some(pause) = pause else { return };
        match self.members.get_mut(&pause) {
            Some(member) if member.running().is_some_and(|running| !running.asked_to_end) => {
                ask_to_end(member, None);
            }
            Some(member) if matches!(member.phase, Phase::Restarting(_)) => {
                self.give_up_restart(&pause);
            }
            _ => {}
        }
    }

    /// Ends a container that has come to run, if that was asked for meanwhile.
    pub(crate) fn end_if_wanted(&mut self, id: &ContainerId) {
        let wanted = self
            .members
            .get_mut(id)
            .and_then(|member| member.end_wanted.take().map(|timeout| ask_to_end(member, timeout)));
        if wanted.is_none() {
            self.stop_goes_on();
        }
    }

    /// One that waits for pause waits no longer.
    fn give_up_start(&mut self, id: &ContainerId) {
        let Some(member) = self.members.get_mut(id) else { return };
        if let Phase::Queued(client, _) = std::mem::replace(&mut member.phase, Phase::Idle) {
            self.start_failed(id, client, Failure::Other, "it was stopped before it ran");
        }
    }

    fn give_up_restart(&mut self, id: &ContainerId) {
        if let Some(member) = self.members.get_mut(id) {
            member.phase = Phase::Idle;
            member.status.state = ContainerState::Exited;
            self.let_go(id);
        }
    }

    /// Sends SIGKILL to what had its time.
    pub(crate) fn kill_what_is_due(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            if let Some(running) = member.running_mut()
                && running.deadline.is_some_and(|deadline| deadline <= now)
            {
                running.deadline = None;
                // It may have ended this instant; then there is nothing left to do.
                let _sent = pidfd_send_signal(running.pidfd.as_fd(), Signal::KILL);
            }
        }
    }
}

/// Sends the stop signal and sets the time by which SIGKILL follows.
fn ask_to_end(member: &mut Member, timeout: Option<u32>) {
    let signal = member.config.stop_signal;
    let grace = timeout.unwrap_or(member.config.stop_timeout);
    let Some(running) = member.running_mut() else { return };
    running.asked_to_end = true;
    let _sent = send(running.pidfd.as_fd(), signal);
    running.deadline = Some(Instant::now() + Duration::from_secs(grace.into()));
}
