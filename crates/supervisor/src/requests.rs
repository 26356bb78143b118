//! What a supervisor is asked.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::process::{Signal, pidfd_send_signal};
use sandbar_spec::control::{Failure, Reply, Request};
use sandbar_spec::{ContainerId, ExitCode, SignalNumber};

use crate::member::{Phase, Waiter};
use crate::poll::Serial;
use crate::ports::HeldPort;
use crate::supervisor::Supervisor;

impl Supervisor {
    /// Does what `client` asks, or begins to.
    pub(crate) fn handle(&mut self, client: Serial, request: Request, fds: Vec<OwnedFd>) {
        match request {
            Request::Start { container, given, awaited } => {
                let mut fds = fds.into_iter();
                let input = if given { fds.next() } else { None };
                // A blocking one could be made to stop this process.
                let printed = fds.next().filter(|fd| rustix::io::ioctl_fionbio(fd, true).is_ok());
                let waiter = awaited.then_some(Waiter { client, printed });
                self.request_start(client, &container, input, waiter);
            }
            Request::Kill { container, signal } => self.request_kill(client, &container, signal),
            Request::Stop { container, timeout } => self.request_stop(client, &container, timeout),
            Request::StopPod { timeout } => self.request_stop_pod(client, timeout),
            Request::Wait { container } => self.request_wait(client, &container),
            Request::Attach { container } => self.request_attach(client, &container),
            Request::Exec { container, terminal } => {
                self.request_exec(client, &container, terminal, fds);
            }
            Request::HoldPorts => {
                self.held.extend(fds.into_iter().map(HeldPort::new));
                self.reply(client, &Reply::Done, &[]);
            }
            Request::ReleasePorts { ports } => {
                self.release_ports(&ports);
                self.reply(client, &Reply::Done, &[]);
            }
            Request::RelayPorts { ports, to } => match self.relay_ports(&ports, to) {
                Ok(()) => self.reply(client, &Reply::Done, &[]),
                Err(error) => self.fail(client, Failure::Other, error.one_line()),
            },
            Request::NetworksChanged => {
                if let Some(guarding) = &mut self.guarding {
                    guarding.changed(&self.poll, Instant::now());
                }
                self.reply(client, &Reply::Done, &[]);
            }
            Request::Freeze { container } => self.request_freeze(client, &container),
            Request::Thaw { container } => self.request_thaw(client, &container),
            Request::Forget { container } => self.request_forget(client, &container),
        }
    }

    fn request_start(
        &mut self,
        client: Serial,
        id: &ContainerId,
        input: Option<OwnedFd>,
        waiter: Option<Waiter>,
    ) {
        if let Err(error) = self.know(id) {
            return self.fail(client, Failure::Other, error.one_line());
        }
        if self.stopping.is_some() {
            return self.fail(client, Failure::Other, "the pod is being stopped");
        }
        let Some(member) = self.members.get_mut(id) else { return };
        match &member.phase {
            Phase::Running(running) => {
                let pid = running.pid.as_raw_nonzero().get();
                member.waiters.extend(waiter);
                return self.reply(client, &Reply::Started { pid, told: Vec::new() }, &[]);
            }
            Phase::Queued(..) | Phase::Starting(_) => {
                let name = member.config.name.clone();
                let message = format!("container {name} is being started already");
                return self.fail(client, Failure::Other, message);
            }
            Phase::Idle | Phase::Restarting(_) => {}
        }
        member.status.restarts = 0;
        member.waiters.extend(waiter);
        member.phase = Phase::Queued(Some(client), input);
        self.start_what_is_queued();
    }

    fn request_kill(&mut self, client: Serial, id: &ContainerId, signal: SignalNumber) {
        self.release(id);
        let Some(member) = self.members.get_mut(id) else { return self.not_running(client) };
        let stop_signal = member.config.stop_signal;
        let is_pause = self.config.pause.as_ref() == Some(id);
        let Some(running) = member.running_mut() else { return self.not_running(client) };
        // What ends it is what it is asked to end by; pause ends by SIGINT too.
        if [SignalNumber::KILL, stop_signal].contains(&signal)
            || (is_pause && signal == SignalNumber::INT)
        {
            running.asked_to_end = true;
        }
        match send(running.pidfd.as_fd(), signal) {
            Ok(()) => self.reply(client, &Reply::Done, &[]),
            Err(error) => self.fail(client, Failure::Other, format!("kill {signal}: {error}")),
        }
    }

    fn request_wait(&mut self, client: Serial, id: &ContainerId) {
        if let Err(error) = self.know(id) {
            return self.fail(client, Failure::Other, error.one_line());
        }
        let Some(member) = self.members.get_mut(id) else { return };
        if member.is_active() {
            member.waiters.push(Waiter { client, printed: None });
        } else {
            let code = member.status.exit_code.unwrap_or(ExitCode::Unknown);
            self.reply(client, &Reply::Exited { code, last: false }, &[]);
        }
    }

    fn request_attach(&mut self, client: Serial, id: &ContainerId) {
        let copy = match self.members.get(id).map(|member| (member.running(), &member.terminal)) {
            Some((Some(_), Some(terminal))) => rustix::io::fcntl_dupfd_cloexec(terminal, 3),
            Some((Some(_), None)) => {
                return self.fail(client, Failure::Other, "the container has no terminal");
            }
            _ => return self.not_running(client),
        };
        match copy {
            Ok(terminal) => self.reply(client, &Reply::Done, &[terminal.as_fd()]),
            Err(errno) => self.fail(client, Failure::Other, format!("attach: {errno}")),
        }
    }

    fn request_forget(&mut self, client: Serial, id: &ContainerId) {
        if self.members.get(id).is_some_and(crate::member::Member::is_active) {
            return self.fail(client, Failure::Other, "the container is running");
        }
        self.members.remove(id);
        self.reply(client, &Reply::Done, &[]);
    }

    pub(crate) fn not_running(&mut self, client: Serial) {
        self.fail(client, Failure::NotRunning, "the container is not running");
    }
}

/// Sends a signal by number, real-time ones included.
pub(crate) fn send(
    pidfd: std::os::fd::BorrowedFd<'_>,
    signal: SignalNumber,
) -> std::io::Result<()> {
    let signal = Signal::from_named_raw(signal.get())
        .map_or_else(|| sandbar_sys::real_time_signal(signal.get()), Some);
    let signal = signal.ok_or(rustix::io::Errno::INVAL)?;
    Ok(pidfd_send_signal(pidfd, signal)?)
}
