//! Whose a port of the host is that is taken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use sandbar_network::{Protocol, PublishedPort};
use sandbar_spec::PortMapping;

use crate::container::Container;
use crate::engine::Engine;

/// The inode of a socket that nobody has open any more.
const NONE: &str = "0";

impl Engine {
    /// Who has one of these ports of the host, in words, as far as that can be found out.
    pub(crate) fn owner_of_port(&self, port: &PortMapping) -> Option<String> {
        let pods = self.pods().unwrap_or_default();
        let owner = pods.into_iter().find(|pod| {
            pod.config.ports.iter().any(|other| port.overlaps(other))
                && pod.containers.iter().any(Container::is_active)
        });
        owner.map(|pod| format!("published by pod '{}'", pod.config.name))
    }
}

/// The process that has a port of the host, by name and number. The kernel lists no socket that is bound but neither
/// listens nor is connected (TCP).
pub(crate) fn process_at(port: &PublishedPort) -> Option<String> {
    let proc = Path::new("/proc/thread-self/net");
    let names = match port.protocol {
        Protocol::Tcp => ["tcp", "tcp6"],
        Protocol::Udp => ["udp", "udp6"],
        Protocol::Sctp => ["sctp/eps", "sctp/eps"],
    };
    let inodes: Vec<String> = names
        .iter()
        .filter_map(|name| std::fs::read_to_string(proc.join(name)).ok())
        .flat_map(|table| match port.protocol {
            Protocol::Sctp => sctp_inodes(&table, port.host_port.get()),
            _ => inodes(&table, port),
        })
        .collect();
    inodes.iter().find_map(|inode| process_with(&format!("socket:[{inode}]")))
}

/// The inodes of a table of `/proc/net` (proc_net(5)) whose local address and port is this.
fn inodes(table: &str, port: &PublishedPort) -> Vec<String> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (address, number) = words.nth(1)?.split_once(':')?;
        let is_port = u16::from_str_radix(number, 16).ok()? == port.host_port.get();
        let inode = words.nth(7).filter(|inode| *inode != NONE)?;
        (is_port && meets(&address_of(address)?, port.host_ip)).then(|| inode.to_owned())
    };
    table.lines().filter_map(line).collect()
}

/// The inodes of `/proc/net/sctp/eps` at a port: ENDPT SOCK STY SST HBKT LPORT UID INODE LADDRS.
fn sctp_inodes(table: &str, port: u16) -> Vec<String> {
    let line = |line: &str| {
        let mut words = line.split_whitespace().skip(5);
        let is_port = words.next()?.parse::<u16>().ok()? == port;
        is_port.then(|| words.nth(1).map(str::to_owned)).flatten()
    };
    table.lines().filter_map(line).collect()
}

/// An address as the kernel writes it: hexadecimal words of 32 bits, each in the byte order of the machine.
fn address_of(text: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for start in (0..text.len()).step_by(8) {
        let word = u32::from_str_radix(text.get(start..start + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical()),
        _ => None,
    }
}

/// Whether a socket at one address is in the way of a port at another.
fn meets(socket: &IpAddr, wanted: Option<IpAddr>) -> bool {
    wanted.is_none_or(|wanted| {
        *socket == wanted || socket.is_unspecified() || wanted.is_unspecified()
    })
}

/// The first process that has a descriptor of this name.
fn process_with(name: &str) -> Option<String> {
    let processes = std::fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path());
    let has_it = |process: &PathBuf| {
        let descriptors = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        descriptors
            .filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok())
            .any(|link| link.as_os_str() == name)
    };
    let is_process = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().all(u8::is_ascii_digit))
    };
    let process = processes.filter(is_process).find(has_it)?;
    let number = process.file_name()?.to_str()?;
    let name = std::fs::read_to_string(process.join("comm")).ok()?;
    Some(format!("used by process {number} ({})", name.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};
    use std::num::NonZeroU16;

    fn port(ip: Option<IpAddr>, number: u16, protocol: Protocol) -> PublishedPort {
        let number = NonZeroU16::new(number).unwrap();
        PublishedPort { host_ip: ip, host_port: number, container_port: number, protocol }
    }

    #[test]
    fn a_process_is_found_by_its_socket() {
        let own = format!("process {} ", std::process::id());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        for ip in [None, Some(at.ip()), Some(Ipv4Addr::UNSPECIFIED.into())] {
            let found = process_at(&port(ip, at.port(), Protocol::Tcp)).unwrap();
            assert!(found.contains(&own), "{found}");
        }
        let elsewhere = Some(Ipv4Addr::new(127, 0, 0, 2).into());
        assert_eq!(process_at(&port(elsewhere, at.port(), Protocol::Tcp)), None);
        drop(listener);
        assert_eq!(process_at(&port(None, at.port(), Protocol::Tcp)), None);
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let number = socket.local_addr().unwrap().port();
        let found = process_at(&port(None, number, Protocol::Udp)).unwrap();
        assert!(found.contains(&own), "{found}");
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        if cfg!(target_endian = "little") {
            assert_eq!(address_of("0100007F"), Some(Ipv4Addr::LOCALHOST.into()));
            let loopback = "00000000000000000000000001000000";
            assert_eq!(address_of(loopback), Some(Ipv6Addr::LOCALHOST.into()));
        }
        assert_eq!(address_of(&"0".repeat(32)), Some(Ipv6Addr::UNSPECIFIED.into()));
        assert_eq!(address_of("0100"), None);
    }
}
