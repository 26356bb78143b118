//! Starting and ending pods and containers.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sandbar_spec::control::{Reply, Request};
use sandbar_spec::{ContainerState, ExitCode, NamespaceMode, PodConfig, SignalNumber};
use sandbar_supervisor::{Client, Packet};

use crate::container::Container;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::log::Log;
use crate::pod::Pod;
use crate::started::{Ending, Started};

impl Engine {
    /// Starts a container, with `input` as its standard input (nothing if none). One that runs already is
    /// left as it is.
    ///
    /// # Errors
    /// [`Kind::CommandNotFound`], [`Kind::CommandNotExecutable`], [`Kind::NotRunning`] (what it joins),
    /// [`Kind::PortTaken`], [`Kind::NoNetwork`], [`Kind::System`].
    pub fn start_container(
        &self,
        container: &Container,
        input: Option<BorrowedFd<'_>>,
    ) -> Result<Started, Error> {
        self.start(container, input, None).map(|(started, _client)| started)
    }

    /// The same, for who stays to its end: from the start on, `log` (its log) becomes readable whenever it has
    /// grown.
    ///
    /// # Errors
    /// As [`Engine::start_container`].
    pub fn start_and_watch(
        &self,
        container: &Container,
        input: Option<BorrowedFd<'_>>,
        log: &Log,
    ) -> Result<(Started, Ending), Error> {
        let (started, client) = self.start(container, input, Some(log))?;
        Ok((started, Ending { engine: self.clone(), container: container.clone(), client }))
    }

    fn start(
        &self,
        container: &Container,
        input: Option<BorrowedFd<'_>>,
        log: Option<&Log>,
    ) -> Result<(Started, Client), Error> {
        self.check_joined(container)?;
        let request = Request::Start {
            container: container.config.id.clone(),
            given: input.is_some(),
            awaited: log.is_some(),
        };
        let descriptors: Vec<_> = input.into_iter().chain(log.map(AsFd::as_fd)).collect();
        let mut notes = Vec::new();
        // A supervisor that is just ending does not answer any more: the next one does.
        for _ in 0..4 {
            let (client, more) = self.ensure_supervisor(&container.pod)?;
            notes.extend(more);
            if client.send(&request, &descriptors).is_err() {
                continue;
            }
            let Some(Packet { message, descriptors }) = client.receive()? else { continue };
            match message {
                Reply::Started { pid, told } => {
                    let terminal = descriptors.into_iter().next();
                    notes.extend(told);
                    return Ok((Started { pid, told: notes, terminal }, client));
                }
                Reply::Failed { kind, message, last } => {
                    wait_for_end(&client, !last);
                    return Err(Error::answered(kind, message));
                }
                Reply::Done | Reply::Exited { .. } => break,
            }
        }
        Err(Error::new(Kind::System, "the pod's supervisor does not answer"))
    }

    /// What the container joins must run; a pod's own pause is started with it.
    fn check_joined(&self, container: &Container) -> Result<(), Error> {
        let config = &container.config;
        let of = &config.namespaces;
        let needed =
            [&of.net, &of.ipc, &of.uts, &of.pid].into_iter().filter_map(|mode| match mode {
                NamespaceMode::Container(id) => Some(id),
                NamespaceMode::Pod if container.pod.implicit => container.pod.pause.as_ref(),
                NamespaceMode::Pod | NamespaceMode::Private | NamespaceMode::Host => None,
            });
        for id in needed.chain(&config.joined).filter(|&id| *id != config.id) {
            let joined = self.container(id.as_str())?;
            if !joined.is_active() {
                let name = &joined.config.name;
                let message = format!("container '{name}', which it joins, is not running");
                return Err(Error::new(Kind::NotRunning, message));
            }
        }
        Ok(())
    }

    /// Starts a pod: its pause, and every container that does not run. Returns the fallbacks that were taken.
    ///
    /// # Errors
    /// As [`Engine::start_container`], of the first that fails.
    pub fn start_pod(&self, pod: &Pod) -> Result<Vec<String>, Error> {
        let mut told = Vec::new();
        let (pauses, others): (Vec<_>, Vec<_>) =
            pod.containers.iter().partition(|container| container.is_pause());
        for container in pauses.into_iter().chain(others) {
            let started = self.start_container(container, None).map_err(|error| {
                Error::caused(error.kind(), format!("start {}", container.config.name), error)
            })?;
            told.extend(started.told.iter().cloned());
        }
        told.sort();
        told.dedup();
        Ok(told)
    }

    /// Ends a container: its stop signal, then SIGKILL after `timeout` seconds (its own time if none). One that
    /// does not run is left as it is.
    ///
    /// # Errors
    /// What the supervisor answers.
    pub fn stop_container(&self, container: &Container, timeout: Option<u32>) -> Result<(), Error> {
        let request = Request::Stop { container: container.config.id.clone(), timeout };
        match self.ask(&container.pod, &request)? {
            None => Ok(()),
            Some((_, Reply::Failed { kind: sandbar_spec::control::Failure::NotRunning, .. })) => {
                Ok(())
            }
            Some((_, Reply::Failed { kind, message, .. })) => Err(Error::answered(kind, message)),
            Some((client, Reply::Exited { last, .. })) => {
                wait_for_end(&client, !last);
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }

    /// Sends a signal to a container's first process.
    ///
    /// # Errors
    /// [`Kind::NotRunning`].
    pub fn kill_container(&self, container: &Container, signal: SignalNumber) -> Result<(), Error> {
        let not_running = || {
            let message = format!("container '{}' is not running", container.config.name);
            Error::new(Kind::NotRunning, message)
        };
        let request = Request::Kill { container: container.config.id.clone(), signal };
        match self.ask(&container.pod, &request)? {
            Some((_, Reply::Done)) => Ok(()),
            Some((_, Reply::Failed { kind: sandbar_spec::control::Failure::NotRunning, .. }))
            | None => Err(not_running()),
            Some((_, Reply::Failed { kind, message, .. })) => Err(Error::answered(kind, message)),
            Some(_) => Err(Error::new(Kind::System, "the pod's supervisor answers out of turn")),
        }
    }

    /// Waits until a container has ended; at once if it has.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if it was removed meanwhile.
    pub fn wait_container(&self, container: &Container) -> Result<ExitCode, Error> {
        let request = Request::Wait { container: container.config.id.clone() };
        loop {
            if container.status.state == ContainerState::Created
                && self.container(container.config.id.as_str())?.status.state
                    == ContainerState::Created
            {
                let name = &container.config.name;
                let message = format!("container '{name}' was never started");
                return Err(Error::new(Kind::NotRunning, message));
            }
            match self.ask(&container.pod, &request)? {
                Some((_, Reply::Exited { code, .. })) => return Ok(code),
                Some((_, Reply::Failed { kind, message, .. })) => {
                    return Err(Error::answered(kind, message));
                }
                Some(_) => {}
                None => {
                    let now = self.container(container.config.id.as_str())?;
                    if !now.is_active() {
                        return Ok(now.status.exit_code.unwrap_or(ExitCode::Unknown));
                    }
                }
            }
        }
    }

    /// The other end of a running container's terminal.
    ///
    /// # Errors
    /// [`Kind::NotRunning`]; [`Kind::System`] if it has no terminal.
    pub fn attach_terminal(&self, container: &Container) -> Result<OwnedFd, Error> {
        let client = self.find_supervisor(&container.pod)?.ok_or_else(|| {
            let message = format!("container '{}' is not running", container.config.name);
            Error::new(Kind::NotRunning, message)
        })?;
        client.send(&Request::Attach { container: container.config.id.clone() }, &[])?;
        match client.receive()? {
            Some(Packet { message: Reply::Done, descriptors }) => descriptors
                .into_iter()
                .next()
                .ok_or_else(|| Error::new(Kind::System, "the pod's supervisor sent no terminal")),
            Some(Packet { message: Reply::Failed { kind, message, .. }, .. }) => {
                Err(Error::answered(kind, message))
            }
            _ => Err(Error::new(Kind::System, "the pod's supervisor is gone")),
        }
    }

    /// Ends every container of a pod, pause last. A pod of which nothing runs is left as it is.
    ///
    /// # Errors
    /// What the supervisor answers.
    pub fn stop_pod(&self, pod: &Pod, timeout: Option<u32>) -> Result<(), Error> {
        match self.ask(&pod.config, &Request::StopPod { timeout })? {
            Some((_, Reply::Failed { kind, message, .. })) => Err(Error::answered(kind, message)),
            Some((client, _)) => {
                wait_for_end(&client, false);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Asks a pod's supervisor; `None` if nothing of the pod lives.
    pub(crate) fn ask(
        &self,
        pod: &PodConfig,
        request: &Request,
    ) -> Result<Option<(Client, Reply)>, Error> {
        for _ in 0..4 {
            let Some(client) = self.find_supervisor(pod)? else { return Ok(None) };
            if client.send(request, &[]).is_err() {
                continue;
            }
            if let Some(packet) = client.receive()? {
                return Ok(Some((client, packet.message)));
            }
        }
        Err(Error::new(
            Kind::System,
            format!("the supervisor of pod '{}' does not answer", pod.name),
        ))
    }
}

/// Waits until a supervisor that is about to end has cleaned up and ended, unless the pod `goes_on`.
pub(crate) fn wait_for_end(client: &Client, goes_on: bool) {
    if goes_on {
        return;
    }
    // It closes the connection when it ends.
    while let Ok(Some(_)) = client.receive() {}
}
