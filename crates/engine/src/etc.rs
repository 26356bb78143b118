//! The files of `/etc` that a pod's containers share: `hosts`, `hostname`, `resolv.conf`.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use rustix::fs::{CWD, Mode, OFlags};
use sandbar_resolver::SEARCH_DOMAIN;
use sandbar_spec::layout::PodDirectory;
use sandbar_spec::{Connection, NetworkMode, PodConfig};
use sandbar_sys::During;

use crate::directories;
use crate::error::Error;

/// Name servers for a host that has none that a pod could reach.
const FALLBACK_SERVERS: [Ipv4Addr; 2] = [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(8, 8, 4, 4)];

/// More are not asked (resolv.conf(5)).
const MOST_SERVERS: usize = 3;

/// Writes the files of a new pod.
pub(crate) fn write(
    directory: &PodDirectory,
    pod: &PodConfig,
    connections: &[Connection],
) -> Result<(), Error> {
    directories::make_with(&directory.path().join("etc"), 0o755)?;
    write_file(directory, "hostname", &format!("{}\n", pod.hostname))?;
    let (hosts, resolv_conf) = of_networks(pod, connections);
    write_file(directory, "hosts", &hosts)?;
    write_file(directory, "resolv.conf", &resolv_conf)
}

/// Writes anew, where its containers see them, the files of a pod whose networks have changed. What somebody has
/// written into one of them stays: then it is left as it is.
pub(crate) fn adapt(
    directory: &PodDirectory,
    pod: &PodConfig,
    before: &[Connection],
    after: &[Connection],
) {
    let (old_hosts, old_resolv_conf) = of_networks(pod, before);
    let (hosts, resolv_conf) = of_networks(pod, after);
    let changes = [("hosts", old_hosts, hosts), ("resolv.conf", old_resolv_conf, resolv_conf)];
    for (name, old, new) in changes {
        let path = directory.etc(name);
        if std::fs::read_to_string(&path).is_ok_and(|found| found == old) {
            // The pod is on its network all the same.
            let _kept = std::fs::write(&path, new);
        }
    }
}

/// What `hosts` and `resolv.conf` say.
fn of_networks(pod: &PodConfig, connections: &[Connection]) -> (String, String) {
    let hosts_of_host = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let base = (pod.network == NetworkMode::Host).then_some(hosts_of_host.as_str());
    let resolv_of_host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    (hosts(pod, connections, base), resolv_conf(pod, connections, &resolv_of_host))
}

/// Writes those anew that tell of the pod's addresses or its name servers, in place: they may be mounted.
pub(crate) fn rewrite(
    directory: &PodDirectory,
    pod: &PodConfig,
    connections: &[Connection],
) -> Result<(), Error> {
    let (hosts, resolv_conf) = of_networks(pod, connections);
    for (name, text) in [("hosts", hosts), ("resolv.conf", resolv_conf)] {
        let path = directory.etc(name);
        std::fs::write(&path, text).during("write", || path.display().to_string())?;
    }
    Ok(())
}

fn hosts(pod: &PodConfig, connections: &[Connection], base: Option<&str>) -> String {
    let usual = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    let mut text = base.unwrap_or(usual).to_owned();
    let mut own: Vec<IpAddr> = connections.iter().flat_map(Connection::addresses).collect();
    if own.is_empty() {
        own.push(Ipv4Addr::LOCALHOST.into());
    }
    for own in own {
        // A string takes all that is written to it.
        let _written = writeln!(text, "{own}\t{} {}", pod.hostname, pod.name);
    }
    for (name, address) in &pod.hosts {
        let _written = writeln!(text, "{address}\t{name}");
    }
    text
}

/// The name servers, domains and options that are asked for; else those of the networks that have names, each of which
/// knows the names of all; else those of the host, without the name servers that only the host itself can reach.
fn resolv_conf(pod: &PodConfig, connections: &[Connection], of_host: &str) -> String {
    let asks_nothing =
        pod.dns.is_empty() && pod.dns_search.is_empty() && pod.dns_options.is_empty();
    if pod.network == NetworkMode::Host && asks_nothing {
        return of_host.to_owned();
    }
    let reachable = |address: &IpAddr| pod.network == NetworkMode::Host || !address.is_loopback();
    // An internal network's resolver is asked for the world's names where there is no other.
    let (internal, open): (Vec<_>, Vec<_>) =
        connections.iter().filter(|it| it.names).partition(|it| it.internal);
    let named = open.into_iter().chain(internal);
    let mut servers = pod.dns.clone();
    let mut search = pod.dns_search.clone();
    let mut options = pod.dns_options.clone();
    if servers.is_empty() {
        servers.extend(named.take(MOST_SERVERS).map(|it| IpAddr::V4(it.gateway)));
        if !servers.is_empty() && search.is_empty() {
            search.push(SEARCH_DOMAIN.to_owned());
        }
    }
    let has_servers = !servers.is_empty();
    let mut text = String::new();
    for line in of_host.lines() {
        let mut words = line.split_whitespace();
        let rest =
            |words: std::str::SplitWhitespace<'_>| words.map(str::to_owned).collect::<Vec<_>>();
        match words.next() {
            Some("nameserver") if !has_servers => {
                servers.extend(words.next().and_then(|it| it.parse().ok()).filter(reachable));
            }
            // With names of its own, a network's come first.
            Some("search" | "domain") if pod.dns_search.is_empty() => search.extend(rest(words)),
            Some("options") if pod.dns_options.is_empty() => options.extend(rest(words)),
            Some("nameserver" | "search" | "domain" | "options") | None => {}
            Some(_) => text.push_str(&format!("{line}\n")),
        }
    }
    if servers.is_empty() {
        servers.extend(FALLBACK_SERVERS.map(IpAddr::V4));
    }
    if !search.is_empty() && search != ["."] {
        let _written = writeln!(text, "search {}", search.join(" "));
    }
    for server in servers {
        let _written = writeln!(text, "nameserver {server}");
    }
    if !options.is_empty() {
        let _written = writeln!(text, "options {}", options.join(" "));
    }
    text
}

fn write_file(directory: &PodDirectory, name: &str, text: &str) -> Result<(), Error> {
    let path = directory.etc(name);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(0o644);
    let file = rustix::fs::openat(CWD, &path, flags, mode)
        .during("open", || path.display().to_string())?;
    rustix::fs::fchmod(&file, mode).during("fchmod", || path.display().to_string())?;
    std::io::Write::write_all(&mut std::fs::File::from(file), text.as_bytes())
        .during("write", || path.display().to_string())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sandbar_spec::{PodId, Shared};

    fn pod(dns: Vec<IpAddr>) -> PodConfig {
        PodConfig {
            id: PodId::from_random([1; 32]),
            name: "web".parse().unwrap(),
            created_at: jiff::Timestamp::UNIX_EPOCH,
            hostname: "web".into(),
            shared: Shared::default(),
            network: NetworkMode::Bridge,
            cni: None,
            ports: vec![],
            hosts: vec![("db".into(), IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)))],
            dns,
            dns_search: vec![],
            dns_options: vec![],
            bandwidth: sandbar_spec::Bandwidth::default(),
            pause: None,
            implicit: false,
        }
    }

    fn on(network: &str, gateway: [u8; 4], names: bool) -> Connection {
        let [a, b, c, _] = gateway;
        Connection {
            network: network.parse().unwrap(),
            network_id: sandbar_spec::NetworkId::from_random([2; 32]),
            ip: Ipv4Addr::new(a, b, c, 2),
            prefix: 24,
            gateway: gateway.into(),
            ipv6: None,
            mac: "02:53:0a:54:00:02".into(),
            interface: "eth0".into(),
            host_interface: "sb0".into(),
            aliases: vec![],
            names,
            internal: false,
        }
    }

    #[test]
    fn hosts_name_the_pod_and_what_was_added() {
        let text = hosts(&pod(vec![]), &[on("a", [10, 84, 0, 1], false)], None);
        assert!(text.contains("10.84.0.2\tweb web\n10.0.0.9\tdb\n"), "{text}");
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"), "{text}");
        assert!(hosts(&pod(vec![]), &[], None).contains("127.0.0.1\tweb web\n"));
    }

    #[test]
    fn a_resolver_on_the_hosts_loopback_is_left_out() {
        let host = "search lan\nnameserver 127.0.0.53\nnameserver 9.9.9.9\n";
        assert_eq!(resolv_conf(&pod(vec![]), &[], host), "search lan\nnameserver 9.9.9.9\n");
        let none = "nameserver 127.0.0.53\n";
        assert!(resolv_conf(&pod(vec![]), &[], none).contains("nameserver 8.8.8.8"));
        let own = resolv_conf(&pod(vec!["1.1.1.1".parse().unwrap()]), &[], host);
        assert_eq!(own, "search lan\nnameserver 1.1.1.1\n");
    }

    #[test]
    fn an_internal_network_is_asked_after_the_others() {
        let host = "search lan\nnameserver 9.9.9.9\n";
        let inner = Connection { internal: true, ..on("b", [10, 85, 0, 1], true) };
        let text = resolv_conf(&pod(vec![]), std::slice::from_ref(&inner), host);
        assert!(text.ends_with("nameserver 10.85.0.1\n"), "{text}");
        let mut both = [inner, on("a", [10, 84, 0, 1], false)];
        let text = resolv_conf(&pod(vec![]), &both, host);
        assert_eq!(text, "search dns.sandbar lan\nnameserver 10.85.0.1\n");
        both[1].names = true;
        let text = resolv_conf(&pod(vec![]), &both, host);
        let expected = "search dns.sandbar lan\nnameserver 10.84.0.1\nnameserver 10.85.0.1\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_network_with_names_is_asked_itself() {
        let host = "search lan\nnameserver 9.9.9.9\noptions ndots:2\n";
        let on = [on("a", [10, 84, 0, 1], false), on("b", [10, 85, 0, 1], true)];
        let expected = "search dns.sandbar lan\nnameserver 10.85.0.1\noptions ndots:2\n";
        assert_eq!(resolv_conf(&pod(vec![]), &on, host), expected);
        let mut asked = pod(vec!["1.1.1.1".parse().unwrap()]);
        asked.dns_search = vec!["x.example".into()];
        asked.dns_options = vec!["ndots:5".into()];
        let expected = "search x.example\nnameserver 1.1.1.1\noptions ndots:5\n";
        assert_eq!(resolv_conf(&asked, &on, host), expected);
        asked.dns_search = vec![".".into()];
        assert!(!resolv_conf(&asked, &on, host).contains("search"));
    }
}
