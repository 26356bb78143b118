//! The host's resolvers: `resolv.conf(5)`, read again when it changes.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustix::net::{AddressFamily, SocketType};

/// As many as the C library asks (`MAXNS`).
const MOST: usize = 3;

/// Where DNS is spoken.
pub(crate) const PORT: u16 = 53;

/// The host's resolvers.
#[derive(Debug)]
pub(crate) struct Upstream {
    path: PathBuf,
    /// Addresses that are never asked: our own.
    own: Vec<IpAddr>,
    servers: Vec<SocketAddr>,
    seen: Option<(u64, i64, i64, u64)>,
}

impl Upstream {
    pub(crate) fn new(path: PathBuf, own: Vec<IpAddr>) -> Self {
        Self { path, own, servers: Vec::new(), seen: None }
    }

    /// Those to ask, in this order.
    pub(crate) fn servers(&mut self) -> &[SocketAddr] {
        let found = fs::metadata(&self.path).ok();
        let seen =
            found.map(|found| (found.ino(), found.mtime(), found.mtime_nsec(), found.size()));
        if seen.is_none() || seen != self.seen {
            let text = fs::read_to_string(&self.path).unwrap_or_default();
            self.servers =
                servers(&text).filter(|server| !self.own.contains(&server.ip())).collect();
            self.servers.truncate(MOST);
            self.seen = seen;
        }
        &self.servers
    }
}

/// What a `resolv.conf` names; without any, the machine's own resolver.
fn servers(text: &str) -> impl Iterator<Item = SocketAddr> {
    let mut named: Vec<SocketAddr> = text
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver"))
        .filter(|rest| rest.starts_with([' ', '\t']))
        .filter_map(|rest| rest.split_whitespace().next())
        .filter_map(server)
        .collect();
    if named.is_empty() {
        named.push((Ipv4Addr::LOCALHOST, PORT).into());
    }
    named.into_iter()
}

/// An address, perhaps of one link: `fe80::1%eth0`.
fn server(text: &str) -> Option<SocketAddr> {
    let Some((address, interface)) = text.split_once('%') else {
        return Some((text.parse::<IpAddr>().ok()?, PORT).into());
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let index = interface.parse().ok().or_else(|| {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
        rustix::net::netdevice::name_to_index(socket, interface).ok()
    })?;
    Some(SocketAddrV6::new(address, PORT, 0, index).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        servers(text).map(|server| server.to_string()).collect()
    }

    #[test]
    fn resolv_conf_is_read_as_the_c_library_reads_it() {
        let text = "# nameserver 1.1.1.1\nsearch a b\nnameserver 10.0.0.1\nnameserver\tfd00::1 # x\n\
                    nameserver nonsense\nnameservers 10.0.0.2\nnameserver fe80::1%7\n";
        assert_eq!(read(text), ["10.0.0.1:53", "[fd00::1]:53", "[fe80::1%7]:53"]);
        assert_eq!(read("options ndots:1\n"), ["127.0.0.1:53"]);
    }

    #[test]
    fn a_change_is_seen_and_our_own_addresses_are_never_asked() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut upstream = Upstream::new(file.path().into(), vec!["10.85.0.1".parse().unwrap()]);
        fs::write(file.path(), "nameserver 10.85.0.1\nnameserver 10.0.0.1\n").unwrap();
        assert_eq!(upstream.servers(), ["10.0.0.1:53".parse().unwrap()]);
        fs::write(file.path(), "nameserver 10.0.0.200\n").unwrap();
        assert_eq!(upstream.servers(), ["10.0.0.200:53".parse().unwrap()]);
        let four = "nameserver 10.0.0.1\n".repeat(4);
        fs::write(file.path(), four).unwrap();
        assert_eq!(upstream.servers().len(), 3);
    }
}
