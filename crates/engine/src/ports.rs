//! Ports of the host: chosen for a pod, and kept from others.

use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::path::Path;

use sandbar_network::{ErrorKind, PublishedPort, Reach};
use sandbar_spec::{HostPorts, NetworkName, PodConfig, PortMapping, PortRequest, Protocol};
use sandbar_supervisor::read_record;

use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::{descriptors, find, names, port_owner};

/// How often ports are chosen anew because another pod chose one of them at the same time.
const TRIES: u32 = 100;
/// From where random ports are taken if the kernel does not say (`ip_local_port_range`, ip(7)).
const USUAL_RANGE: (u16, u16) = (32768, 60999);

/// Ports that are chosen, and taken from others as long as the sockets are open.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) ports: Vec<PortMapping>,
    pub(crate) sockets: Vec<OwnedFd>,
}

impl Engine {
    /// Takes ports of the host, so that no other program can.
    ///
    /// # Errors
    /// [`Kind::PortTaken`], naming who has one, and [`Kind::Unsupported`] for more than there are descriptors.
    pub(crate) fn reserve_ports(&self, ports: &[PortMapping]) -> Result<Vec<OwnedFd>, Error> {
        descriptors::make_room(count(ports))?;
        let mut sockets = Vec::new();
        for port in ports {
            for single in published(port) {
                let held = sandbar_network::reserve(&single, reach());
                sockets.extend(held.map_err(|error| self.refused(&single, port, error))?);
            }
        }
        Ok(sockets)
    }

    /// Takes those of the ports that are free.
    pub(crate) fn reserve_what_is_free(&self, ports: &[PortMapping]) -> Vec<OwnedFd> {
        let _as_far_as_there_is_room = descriptors::make_room(count(ports));
        let singles = ports.iter().flat_map(published);
        singles.filter_map(|port| sandbar_network::reserve(&port, reach()).ok()?).collect()
    }

    fn refused(
        &self,
        single: &PublishedPort,
        port: &PortMapping,
        error: sandbar_network::Error,
    ) -> Error {
        let error = Error::from(error);
        if error.kind() != Kind::PortTaken {
            return error;
        }
        let one = PortMapping {
            host_port: single.host_port,
            container_port: single.container_port,
            count: NonZeroU16::MIN,
            ..*port
        };
        let owner = self.owner_of_port(&one).or_else(|| port_owner::process_at(single));
        match owner {
            Some(owner) => Error::new(Kind::PortTaken, format!("port {single} is {owner}")),
            None => error,
        }
    }

    /// Chooses ports of the host as they are asked for, and takes them. A random one is no other pod's, whether that
    /// runs or not.
    ///
    /// # Errors
    /// As [`Engine::reserve_ports`]; [`Kind::PortTaken`] too when none is free of those that may be chosen.
    pub(crate) fn choose_ports(&self, requests: &[PortRequest]) -> Result<Chosen, Error> {
        let fixed: Vec<PortMapping> = requests.iter().filter_map(PortRequest::mapping).collect();
        make_room_for(requests)?;
        let mut sockets = self.reserve_ports(&fixed)?;
        if fixed.len() == requests.len() {
            return Ok(Chosen { ports: PortMapping::joined(fixed), sockets });
        }
        let mut avoided = self.recorded_ports();
        for _ in 0..TRIES {
            let (mut ports, mut random) = (Vec::new(), Vec::new());
            let mut chosen = Vec::new();
            avoided.extend(&fixed);
            for request in requests {
                ports.push(match request.mapping() {
                    Some(port) => port,
                    None => {
                        let (port, held) = choose(request, &avoided)?;
                        avoided.push(port);
                        chosen.push(port);
                        random.extend(held);
                        port
                    }
                });
            }
            // Whoever chose one of them before we took it has written it down before letting it go.
            avoided = self.recorded_ports();
            if !chosen.iter().any(|port| avoided.iter().any(|other| port.overlaps(other))) {
                sockets.extend(random);
                return Ok(Chosen { ports: PortMapping::joined(ports), sockets });
            }
        }
        Err(Error::new(Kind::PortTaken, "other pods took each random port that was chosen"))
    }

    /// The ports of all pods.
    fn recorded_ports(&self) -> Vec<PortMapping> {
        let pods = find::directories(&self.roots.pods()).into_iter();
        let records = pods.filter_map(|id| {
            let config = self.roots.pod(&id.parse().ok()?).config();
            read_record::<PodConfig>(&config).ok().flatten()
        });
        records.flat_map(|pod| pod.ports).collect()
    }
}

/// What contradicts itself among ports of one pod is told before anything is made.
pub(crate) fn check_requests(
    requests: &[PortRequest],
    published: &[PortMapping],
) -> Result<(), Error> {
    let mut seen = published.to_vec();
    for port in requests.iter().filter_map(PortRequest::mapping) {
        if let Some(other) = seen.iter().find(|other| port.overlaps(other)) {
            let message = format!("ports {other} and {port} have a port of the host in common");
            return Err(Error::new(Kind::Invalid, message));
        }
        seen.push(port);
    }
    Ok(())
}

/// Why nothing can be published of a pod that is on these networks: all are internal.
pub(crate) fn no_ports_on<'a>(networks: impl Iterator<Item = &'a NetworkName>) -> Error {
    let names: Vec<String> = networks.map(|name| format!("'{name}'")).collect();
    let message = format!(
        "no port can be published: the pod's every network is internal ({}), \
         and nobody comes in there",
        names.join(", ")
    );
    Error::new(Kind::Invalid, message)
}

/// The first ports that are free, from a random one on in the range that is random for the kernel too, or from the
/// first on that may be chosen. They follow each other.
fn choose(
    request: &PortRequest,
    avoided: &[PortMapping],
) -> Result<(PortMapping, Vec<OwnedFd>), Error> {
    let (low, high) = match request.host {
        HostPorts::OneOf(low, high) => (low.get(), high.get()),
        HostPorts::Random | HostPorts::From(_) => local_range(),
    };
    let last = high.checked_sub(request.container.count.get() - 1).filter(|last| *last >= low);
    let none = || {
        let message = format!("no port from {low} to {high} is free for {request}");
        Error::new(Kind::PortTaken, message)
    };
    let last = last.ok_or_else(none)?;
    let start = match request.host {
        HostPorts::Random => {
            let [one, other, ..] = names::random()?;
            low + u16::from_ne_bytes([one, other]) % (last - low).saturating_add(1)
        }
        HostPorts::OneOf(..) | HostPorts::From(_) => low,
    };
    for (mut first, last) in [(start, last), (low, start)] {
        while first <= last {
            let Some(port) = NonZeroU16::new(first).map(|first| request.at(first)) else { break };
            match take(&port, avoided)? {
                Ok(sockets) => return Ok((port, sockets)),
                Err(taken) => match taken.checked_add(1) {
                    Some(next) => first = next,
                    None => break,
                },
            }
        }
    }
    Err(none())
}

/// By which versions of IP ports are reached: by all that the host has.
fn reach() -> Reach {
    match sandbar_network::without_ipv6() {
        Some(_) => Reach::Ipv4,
        None => Reach::Both,
    }
}

/// Takes ports; or says which of them can't be had.
fn take(port: &PortMapping, avoided: &[PortMapping]) -> Result<Result<Vec<OwnedFd>, u16>, Error> {
    if let Some(other) = avoided.iter().find(|other| port.overlaps(other)) {
        let end = |it: &PortMapping| it.host_port.get().saturating_add(it.count.get() - 1);
        return Ok(Err(end(other).min(end(port))));
    }
    let mut sockets = Vec::new();
    for single in published(port) {
        match sandbar_network::reserve(&single, reach()) {
            Ok(socket) => sockets.extend(socket),
            Err(error) if error.kind() == ErrorKind::PortTaken => {
                return Ok(Err(single.host_port.get()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Ok(sockets))
}

/// From where the kernel takes random ports (ip(7)).
fn local_range() -> (u16, u16) {
    let path = Path::new("/proc/sys/net/ipv4/ip_local_port_range");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut numbers = text.split_whitespace().map_while(|number| number.parse().ok());
    match (numbers.next(), numbers.next()) {
        (Some(low @ 1..), Some(high)) if low <= high => (low, high),
        _ => USUAL_RANGE,
    }
}

/// Makes room for the sockets of the ports that are asked for.
pub(crate) fn make_room_for(requests: &[PortRequest]) -> Result<(), Error> {
    let counts = requests.iter().map(|request| usize::from(request.container.count.get()));
    descriptors::make_room(counts.sum())
}

/// How many ports these are.
pub(crate) fn count(ports: &[PortMapping]) -> usize {
    ports.iter().map(|port| usize::from(port.count.get())).sum()
}

/// Ports as the network has them, each by itself.
pub(crate) fn published(port: &PortMapping) -> impl Iterator<Item = PublishedPort> + use<> {
    let PortMapping { host_ip, protocol, .. } = *port;
    port.pairs().map(move |(host_port, container_port)| PublishedPort {
        host_ip,
        host_port,
        container_port,
        protocol: match protocol {
            Protocol::Tcp => sandbar_network::Protocol::Tcp,
            Protocol::Udp => sandbar_network::Protocol::Udp,
            Protocol::Sctp => sandbar_network::Protocol::Sctp,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(texts: &[&str]) -> Vec<PortRequest> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn ports_of_one_pod_do_not_overlap() {
        let check = |texts: &[&str]| check_requests(&requests(texts), &[]);
        assert!(check(&["80", "80", "8080:80", "8080:80/udp", "127.0.0.1:81:80"]).is_ok());
        for both in [
            ["8080:80", "8080:81"],
            ["8080:80", "127.0.0.1:8080:80"],
            ["8000-8009:80-89", "8009:1"],
        ] {
            let error = check(&both).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid);
            assert!(error.to_string().contains("in common"), "{error}");
        }
        let published = requests(&["8080:80"])[0].mapping().unwrap();
        assert!(check_requests(&requests(&["8080:1"]), &[published]).is_err());
    }

    #[test]
    fn one_of_a_range_is_the_first_that_is_free() {
        let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let first = taken.local_addr().unwrap().port().min(65000);
        let request = requests(&[&format!("{first}-{}:80", first + 500)])[0];
        let (port, sockets) = choose(&request, &[]).unwrap();
        assert!(port.host_port.get() > first && sockets.len() == 1, "{port}");
        let avoided = [port];
        let (other, _sockets) = choose(&request, &avoided).unwrap();
        assert!(other.host_port > port.host_port);
        let one = requests(&[&format!("{first}-{}:80", first + 1)])[0];
        let next = PortRequest { host: HostPorts::From(one.container.port), ..one };
        let next = next.at(NonZeroU16::new(first + 1).unwrap());
        let error = choose(&one, &[next]).unwrap_err();
        assert_eq!(error.kind(), Kind::PortTaken);
    }

    #[test]
    fn random_ports_follow_each_other_and_are_free() {
        let request = requests(&["80-89/udp"])[0];
        let (port, sockets) = choose(&request, &[]).unwrap();
        let (low, high) = local_range();
        assert!((low..=high).contains(&port.host_port.get()), "{port}");
        assert_eq!((port.count.get(), sockets.len()), (10, 10));
        let too_many = requests(&["1-65535"])[0];
        assert_eq!(choose(&too_many, &[]).unwrap_err().kind(), Kind::PortTaken);
    }
}
