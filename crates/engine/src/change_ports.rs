//! Publishing further ports of a pod, and taking ports back.
//!
//! What is about to change is written down first ([`PodDirectory::port_change`]). So whoever comes after one that was
//! killed knows what may be published by accident: what is written there and not in the pod's configuration.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sandbar_network::Lingering;
use sandbar_spec::control::{MOST_DESCRIPTORS, Reply, Request};
use sandbar_spec::layout::PodDirectory;
use sandbar_spec::{Connection, NetworkMode, PodConfig, PodId, PortMapping, PortRequest};
use sandbar_supervisor::{Client, read_record, replace_record};
use sandbar_sys::During;

use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::pod::{self, Pod};
use crate::ports::{Chosen, check_requests, count, no_ports_on};
use crate::supervision::{Reached, has_life, reach};
use crate::{descriptors, directories, find};

/// Further ports of a pod.
#[derive(Debug)]
pub struct Added {
    /// What was published: random ports are chosen by then.
    pub ports: Vec<PortMapping>,
    /// What is worth knowing, in words.
    pub told: Vec<String>,
}

impl Engine {
    /// Publishes further ports of a pod, at once if it runs.
    ///
    /// # Errors
    /// [`Kind::PortTaken`], [`Kind::Invalid`], [`Kind::Unsupported`], [`Kind::NotFound`]; nothing is changed then.
    pub fn add_ports(&self, pod: &PodId, requests: &[PortRequest]) -> Result<Added, Error> {
        let (_lock, mut config) = self.lock_for_ports(pod)?;
        if config.network != NetworkMode::Bridge {
            let message = format!("pod '{}' has no network that ports could lead to", config.name);
            return Err(Error::new(Kind::Invalid, message));
        }
        let connections = pod::connections(&self.roots.pod(pod))?;
        if !connections.is_empty() && Connection::gateway_of(&connections).is_none() {
            return Err(no_ports_on(connections.iter().map(|it| &it.network)));
        }
        check_requests(requests, &config.ports)?;
        let asked: usize =
            requests.iter().map(|request| usize::from(request.container.count.get())).sum();
        descriptors::make_room(count(&config.ports) + asked)?;
        let Chosen { ports, sockets } = self.choose_ports(requests)?;
        let directory = self.roots.pod(pod);
        replace_record(&directory.port_change(), &ports)?;
        let before = config.clone();
        config.ports = PortMapping::joined([&config.ports[..], &ports].concat());
        let added = self.publish_more(&config, &ports, &sockets);
        if added.is_err() {
            // What can't be undone now is by the pod's end, or by who changes its ports next.
            let _undone = replace_record(&directory.config(), &before)
                .map_err(Error::from)
                .and_then(|()| self.settle_ports(pod, &directory));
        } else {
            forget_change(&directory)?;
        }
        added.map(|told| Added { ports, told })
    }

    /// Takes published ports of a pod back. What was taken back is returned. Connections that are open go on.
    ///
    /// # Errors
    /// [`Kind::NotFound`] for a port that is not published; nothing is changed then.
    pub fn remove_ports(
        &self,
        pod: &PodId,
        requests: &[PortRequest],
    ) -> Result<Vec<PortMapping>, Error> {
        let (_lock, mut config) = self.lock_for_ports(pod)?;
        let (before, mut gone) = (config.clone(), Vec::new());
        for request in requests {
            let parts: Vec<PortMapping> =
                config.ports.iter().filter_map(|port| request.part_of(port)).collect();
            if parts.is_empty() {
                let message = format!("pod '{}' publishes no port {request}", config.name);
                return Err(Error::new(Kind::NotFound, message));
            }
            config.ports = config.ports.iter().flat_map(|port| left_of(port, &parts)).collect();
            gone.extend(parts);
        }
        let directory = self.roots.pod(pod);
        replace_record(&directory.port_change(), &gone)?;
        let removed = replace_record(&directory.config(), &config)
            .map_err(Error::from)
            .and_then(|()| self.settle_ports(pod, &directory));
        if removed.is_err() {
            // They are published still, all of them.
            let _undone = replace_record(&directory.config(), &before);
        }
        removed.map(|()| gone)
    }

    fn lock_for_ports(&self, pod: &PodId) -> Result<(OwnedFd, PodConfig), Error> {
        let directory = self.roots.pod(pod);
        let gone = || find::not_found("pod", pod.short());
        let lock = match directories::lock(&directory.lock()) {
            Err(_) if !directory.path().is_dir() => return Err(gone()),
            lock => lock?,
        };
        let config: PodConfig = read_record(&directory.config())?.ok_or_else(gone)?;
        if let Some(network) = &config.cni {
            let (name, network) = (&config.name, &network.name);
            let message = format!(
                "pod '{name}' is on the CNI network '{network}': plugins publish ports as it starts"
            );
            return Err(Error::new(Kind::Unsupported, message));
        }
        self.settle_ports(pod, &directory)?;
        Ok((lock, read_record(&directory.config())?.ok_or_else(gone)?))
    }

    /// Publishes `ports`, which `sockets` keep from others, and writes `config` down. Returns what is worth knowing.
    fn publish_more(
        &self,
        config: &PodConfig,
        ports: &[PortMapping],
        sockets: &[OwnedFd],
    ) -> Result<Vec<String>, Error> {
        let directory = self.roots.pod(&config.id);
        // A supervisor that is just ending does not answer any more: it is waited for.
        for _ in 0..4 {
            let lock = match reach(&directory)? {
                Reached::Supervisor(client) => {
                    if hold(&client, sockets).is_err() {
                        continue;
                    }
                    drop(self.publish(config, ports)?);
                    let told = self.relay(&client, config, ports);
                    replace_record(&directory.config(), config)?;
                    return self.ensure_published(config, ports, &client).map(|()| told);
                }
                Reached::Lock(lock) => lock,
            };
            let lives = Pod::read(&directory)?.is_some_and(|pod| has_life(&pod));
            if !lives {
                // Published when it is started.
                replace_record(&directory.config(), config)?;
                return Ok(Vec::new());
            }
            drop(lock);
            let _another = self.find_supervisor(config)?;
        }
        let message = format!("the supervisor of pod '{}' does not answer", config.name);
        Err(Error::new(Kind::System, message))
    }

    /// A supervisor that answers has not begun to clean up, and when it does, finds the ports on record. One that does
    /// not may have cleaned up before.
    fn ensure_published(
        &self,
        config: &PodConfig,
        ports: &[PortMapping],
        client: &Client,
    ) -> Result<(), Error> {
        if ask_to_hold(client, &[]).is_ok() {
            return Ok(());
        }
        let directory = self.roots.pod(&config.id);
        let Reached::Lock(_lock) = reach(&directory)? else { return Ok(()) };
        if !Pod::read(&directory)?.is_some_and(|pod| has_life(&pod)) {
            drop(self.unpublish(&config.id, ports)?);
        }
        Ok(())
    }

    /// Takes back what is published for a pod and is not on record: who changed its ports was killed, or failed.
    fn settle_ports(&self, pod: &PodId, directory: &PodDirectory) -> Result<(), Error> {
        let Some(Stray { ports: stray, .. }) = stray_ports(directory)? else { return Ok(()) };
        drop(self.unpublish(pod, &stray)?);
        if let Ok(Some(client)) = Client::connect(&directory.socket()) {
            for ports in stray {
                // Who does not answer holds nothing.
                if client.send(&Request::ReleasePorts { ports }, &[]).is_err()
                    || !matches!(client.receive(), Ok(Some(_)))
                {
                    break;
                }
            }
        }
        forget_change(directory)
    }

    /// Takes back all that is published for a pod which has ended.
    pub(crate) fn unpublish_all(&self, pod: &PodId) -> Result<Lingering, Error> {
        let directory = self.roots.pod(pod);
        let ports = match stray_ports(&directory)? {
            Some(Stray { ports, recorded }) => [ports, recorded].concat(),
            None => recorded_ports(&directory)?,
        };
        self.unpublish(pod, &ports)
    }
}

/// Hands sockets to a pod's supervisor, which keeps them open.
pub(crate) fn hold(client: &Client, sockets: &[OwnedFd]) -> Result<(), Error> {
    // No more at once than fit a message; and none is sent before the last has arrived, since there is a limit on
    // those that are on their way (unix(7), ETOOMANYREFS).
    for some in sockets.chunks(MOST_DESCRIPTORS) {
        ask_to_hold(client, &some.iter().map(AsFd::as_fd).collect::<Vec<_>>())?;
    }
    Ok(())
}

fn ask_to_hold(client: &Client, sockets: &[BorrowedFd<'_>]) -> Result<(), Error> {
    client.send(&Request::HoldPorts, sockets)?;
    match client.receive()?.map(|packet| packet.message) {
        Some(Reply::Done) => Ok(()),
        Some(Reply::Failed { kind, message, .. }) => Err(Error::answered(kind, message)),
        _ => Err(Error::new(Kind::System, "the pod's supervisor is gone")),
    }
}

/// What a change that was cut short may have left published, and what is on record.
struct Stray {
    ports: Vec<PortMapping>,
    recorded: Vec<PortMapping>,
}

fn stray_ports(directory: &PodDirectory) -> Result<Option<Stray>, Error> {
    let Some(changed) = read_record::<Vec<PortMapping>>(&directory.port_change())? else {
        return Ok(None);
    };
    let recorded = recorded_ports(directory)?;
    let ports = changed.iter().flat_map(|port| left_of(port, &recorded)).collect();
    Ok(Some(Stray { ports, recorded }))
}

fn recorded_ports(directory: &PodDirectory) -> Result<Vec<PortMapping>, Error> {
    let config: Option<PodConfig> = read_record(&directory.config())?;
    Ok(config.map(|config| config.ports).unwrap_or_default())
}

fn forget_change(directory: &PodDirectory) -> Result<(), Error> {
    let path = directory.port_change();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).during("unlink", || path.display().to_string()).map_err(Error::from)
        }
        _ => Ok(()),
    }
}

/// What is left of `port` without those of `parts` that are parts of it.
fn left_of(port: &PortMapping, parts: &[PortMapping]) -> Vec<PortMapping> {
    let mut left = vec![*port];
    for part in parts {
        left = left
            .iter()
            .flat_map(|port| match port.part_in(part).filter(|_| port.host_ip == part.host_ip) {
                Some(part) => port.without(&part),
                None => vec![*port],
            })
            .collect();
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(text: &str) -> PortMapping {
        text.parse::<PortRequest>().unwrap().mapping().unwrap()
    }

    #[test]
    fn what_is_left_is_what_no_part_takes() {
        let left = left_of(&port("8000-8009:80-89"), &[port("8002:82"), port("8005-8009:85-89")]);
        assert_eq!(left, [port("8000-8001:80-81"), port("8003-8004:83-84")]);
        let whole = [port("8000-8009:80-89")];
        assert_eq!(left_of(&whole[0], &[port("127.0.0.1:8002:82"), port("8002:82/udp")]), whole);
        assert_eq!(left_of(&whole[0], &whole), []);
    }
}
