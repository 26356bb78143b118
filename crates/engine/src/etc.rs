//! The files of `/etc` that a pod's containers share: `hosts`, `hostname`, `resolv.conf`.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use rustix::fs::{CWD, Mode, OFlags};
use sandbar_spec::layout::PodDirectory;
use sandbar_spec::{NetworkMode, PodConfig};
use sandbar_sys::During;

use crate::directories;
use crate::error::Error;

/// Name servers for a host that has none that a pod could reach.
const FALLBACK_SERVERS: [Ipv4Addr; 2] = [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(8, 8, 4, 4)];

/// Writes the files of a new pod.
pub(crate) fn write(
    directory: &PodDirectory,
    pod: &PodConfig,
    address: Option<Ipv4Addr>,
) -> Result<(), Error> {
    directories::make_with(&directory.path().join("etc"), 0o755)?;
    write_file(directory, "hostname", &format!("{}\n", pod.hostname))?;
    let hosts_of_host = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let base = (pod.network == NetworkMode::Host).then_some(hosts_of_host.as_str());
    write_file(directory, "hosts", &hosts(pod, address, base))?;
    let resolv_of_host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    write_file(directory, "resolv.conf", &resolv_conf(pod, &resolv_of_host))
}

/// Writes those anew that tell of the pod's address or its name servers, in place: they may be mounted.
pub(crate) fn rewrite(
    directory: &PodDirectory,
    pod: &PodConfig,
    address: Option<Ipv4Addr>,
) -> Result<(), Error> {
    let resolv_of_host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let files =
        [("hosts", hosts(pod, address, None)), ("resolv.conf", resolv_conf(pod, &resolv_of_host))];
    for (name, text) in files {
        let path = directory.etc(name);
        std::fs::write(&path, text).during("write", || path.display().to_string())?;
    }
    Ok(())
}

fn hosts(pod: &PodConfig, address: Option<Ipv4Addr>, base: Option<&str>) -> String {
    let usual = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
    let mut text = base.unwrap_or(usual).to_owned();
    let own = address.unwrap_or(Ipv4Addr::LOCALHOST);
    // A string takes all that is written to it.
    let _written = writeln!(text, "{own}\t{} {}", pod.hostname, pod.name);
    for (name, address) in &pod.hosts {
        let _written = writeln!(text, "{address}\t{name}");
    }
    text
}

/// The host's file, without the name servers that only the host itself can reach; or the servers asked for.
fn resolv_conf(pod: &PodConfig, of_host: &str) -> String {
    if pod.network == NetworkMode::Host && pod.dns.is_empty() {
        return of_host.to_owned();
    }
    let server = |line: &str| -> Option<Option<IpAddr>> {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next().and_then(|word| word.parse().ok()))
    };
    let reachable = |address: &IpAddr| !address.is_loopback();
    let mut servers: Vec<IpAddr> = pod.dns.clone();
    let mut text = String::new();
    for line in of_host.lines() {
        match server(line) {
            Some(address) if pod.dns.is_empty() => servers.extend(address.filter(reachable)),
            Some(_) => {}
            None => text.push_str(&format!("{line}\n")),
        }
    }
    if servers.is_empty() {
        servers.extend(FALLBACK_SERVERS.map(IpAddr::V4));
    }
    for server in servers {
        let _written = writeln!(text, "nameserver {server}");
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
            pause: None,
            implicit: false,
        }
    }

    #[test]
    fn hosts_name_the_pod_and_what_was_added() {
        let text = hosts(&pod(vec![]), Some(Ipv4Addr::new(10, 84, 0, 2)), None);
        assert!(text.contains("10.84.0.2\tweb web\n10.0.0.9\tdb\n"), "{text}");
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"), "{text}");
    }

    #[test]
    fn a_resolver_on_the_hosts_loopback_is_left_out() {
        let host = "search lan\nnameserver 127.0.0.53\nnameserver 9.9.9.9\n";
        assert_eq!(resolv_conf(&pod(vec![]), host), "search lan\nnameserver 9.9.9.9\n");
        let none = "nameserver 127.0.0.53\n";
        assert!(resolv_conf(&pod(vec![]), none).contains("nameserver 8.8.8.8"));
        let own = resolv_conf(&pod(vec!["1.1.1.1".parse().unwrap()]), host);
        assert_eq!(own, "search lan\nnameserver 1.1.1.1\n");
    }
}
