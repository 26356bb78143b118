//! Networks of Debian's CNI plugins (`containernetworking-plugins`), attached to and left.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::panic,
    reason = "a test panics when it fails, and reports what it skips"
)]

mod node;

use std::{fs, net::IpAddr, net::Ipv4Addr, path::Path};

use node::{HOST, NEIGHBOUR, Netns, ip, neighbour, on_a_node, run, tcp};
use sandbar_network::{
    Protocol,
    cni::{
        Asked, Attachment, AttachmentId, Bandwidth, Client, Configuration, ErrorKind, PortMapping,
        Transport,
    },
};

const PLUGINS: &str = "/usr/lib/cni";

/// Runs `test` on a machine of its own, if there are plugins.
fn with_plugins(name: &str, test: fn()) {
    for plugin in ["bridge", "host-local", "portmap", "loopback", "bandwidth"] {
        if !Path::new(PLUGINS).join(plugin).exists() {
            eprintln!("skipped: {name}: no {PLUGINS}/{plugin}");
            return;
        }
    }
    // Of portmap and of bridge.
    if std::process::Command::new("iptables").arg("--version").output().is_err() {
        eprintln!("skipped: {name}: no `iptables`");
        return;
    }
    on_a_node(name, test);
}

/// What is in the node's own /run, so that nothing of it stays.
fn network(name: &str, version: &str, plugins: &str) -> Configuration {
    fs::create_dir_all("/run/conf").unwrap();
    let text = format!(r#"{{"cniVersion":"{version}","name":"{name}","plugins":[{plugins}]}}"#);
    fs::write(format!("/run/conf/{name}.conflist"), text).unwrap();
    Configuration::find(Path::new("/run/conf"), Some(name)).unwrap()
}

const BRIDGE: &str = r#"{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,
    "hairpinMode":true,"ipam":{"type":"host-local","dataDir":"/run/leases",
    "ranges":[[{"subnet":"10.99.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}"#;
const PORTMAP: &str = r#"{"type":"portmap","capabilities":{"portMappings":true}}"#;

fn client() -> Client {
    Client::new(vec![PLUGINS.into()], "/run/records".into()).unwrap()
}

fn attachment(pod: Netns) -> Attachment {
    Attachment::new(pod.0, "eth0", format!("/run/netns/{}", pod.0)).unwrap()
}

fn published(host_port: u16) -> PortMapping {
    PortMapping { host_ip: None, host_port, container_port: 80, transport: Transport::Tcp }
}

/// What a pod has on the host: interfaces, leases and rules.
fn traces() -> String {
    let leases = fs::read_dir("/run/leases/net").into_iter().flatten();
    let leases: Vec<_> = leases
        .map(|lease| lease.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("10.99") || name.starts_with("fd99"))
        .collect();
    let rules = ["iptables-save", "ip6tables-save"].map(|program| run(program, &[]));
    let of_pods = |line: &&str| {
        line.contains("10.99.0.") || line.contains("fd99::") || line.contains("--dport 80")
    };
    let rules: Vec<_> = rules.iter().flat_map(|text| text.lines().filter(of_pods)).collect();
    let links = ip("-o link show type veth");
    let links: Vec<_> = links.lines().filter(|line| line.contains("master cni0")).collect();
    format!("{leases:?} {rules:?} {links:?}")
}

#[test]
fn a_chain_is_added_checked_reached_and_deleted_without_a_trace() {
    with_plugins("a_chain_is_added_checked_reached_and_deleted_without_a_trace", || {
        for version in ["0.3.1", "0.4.0", "1.0.0"] {
            let network = network("net", version, &format!("{BRIDGE},{PORTMAP}"));
            let web = Netns::new("web");
            let neighbour = if version == "0.3.1" { neighbour() } else { Netns("neighbour") };
            let before = traces();
            let mut asked = attachment(web);
            asked.runtime.port_mappings = vec![published(8080)];
            let id = asked.id(&network);
            let added = client().add(&network, &asked).unwrap();
            let addresses: Vec<_> = added.addresses_of("eth0").collect();
            assert_eq!(addresses.len(), 1, "{added:?}");
            let (IpAddr::V4(address), 24) = addresses[0].address else { panic!("{added:?}") };
            assert_eq!(addresses[0].gateway, Some([10, 99, 0, 1].into()));
            assert_eq!(added.routes[0].destination, (Ipv4Addr::UNSPECIFIED.into(), 0));
            assert!(ip("-n web -o addr show dev eth0").contains(&address.to_string()));
            assert_ne!(traces(), before);

            web.serve(80, Protocol::Tcp);
            assert!(tcp(address, 80).is_some());
            assert_eq!(neighbour.inside(|| tcp(HOST, 8080)), Some(NEIGHBOUR.to_string()));

            match client().check(&id, None) {
                Ok(asked) => assert_eq!(asked == Asked::Unsupported, version == "0.3.1"),
                // portmap 1.1.1 looks for its IPv4 rules among those of IPv6, too.
                Err(error) => assert!(error.to_string().contains("check ipv6 dnat"), "{error}"),
            }
            assert_eq!(client().result(&id).unwrap(), Some(added));
            if version != "0.3.1" {
                ip(&format!("-n web addr del {address}/24 dev eth0"));
                let error = client().check(&id, None).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Plugin, "{error}");
                assert_eq!(error.plugin().unwrap().plugin, "bridge", "{error}");
                ip(&format!("-n web addr add {address}/24 dev eth0"));
            }

            client().delete(&id, None).unwrap();
            assert_eq!(traces(), before);
            assert_eq!(neighbour.inside(|| tcp(HOST, 8080)), None);
            client().delete(&id, None).unwrap();
            assert_eq!(client().attachments().unwrap(), []);
            assert_eq!(fs::read_dir("/run/records").unwrap().count(), 0);
            ip("netns del web");
        }
    });
}

/// As after `kill -9` of all that a pod had: its namespace is gone, and what the plugins lease is not.
#[test]
fn leases_and_ports_are_given_back_when_the_namespace_is_gone() {
    with_plugins("leases_and_ports_are_given_back_when_the_namespace_is_gone", || {
        let masquerade = BRIDGE.replace(r#""ipMasq":true,"#, "");
        let network = network("net", "1.0.0", &format!("{masquerade},{PORTMAP}"));
        let before = traces();
        let mut asked = attachment(Netns::new("web"));
        asked.runtime.port_mappings = vec![published(8080)];
        client().add(&network, &asked).unwrap();
        ip("netns del web");
        client().delete(&asked.id(&network), None).unwrap();
        // The pair goes with the namespace, which the kernel removes in its own time.
        for _ in 0..1000 {
            if traces() == before {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(traces(), before);
    });
}

#[test]
fn a_chain_that_fails_in_the_middle_leaves_nothing() {
    with_plugins("a_chain_that_fails_in_the_middle_leaves_nothing", || {
        let fails = r#"{"type":"portmap","capabilities":{"portMappings":true},"snat":"x"}"#;
        let network = network("net", "1.0.0", &format!("{BRIDGE},{fails}"));
        let web = Netns::new("web");
        let before = traces();
        let mut asked = attachment(web);
        asked.runtime.port_mappings = vec![published(8080)];
        let error = client().add(&network, &asked).unwrap_err();
        assert_eq!(error.plugin().unwrap().plugin, "portmap", "{error}");
        assert_eq!(error.plugin().unwrap().command, "ADD", "{error}");
        // portmap can't read its configuration to delete, either: the record stays.
        assert_eq!(error.also().len(), 1, "{error}");
        assert_eq!(client().attachments().unwrap(), [asked.id(&network)]);
        assert_eq!(traces(), before);
        assert!(!ip("-n web -o link").contains("eth0"));
    });
}

#[test]
fn two_pods_reach_each_other_and_garbage_is_collected() {
    with_plugins("two_pods_reach_each_other_and_garbage_is_collected", || {
        let both = BRIDGE.replace("}]]", r#"}],[{"subnet":"fd99::/64"}]]"#);
        let network = network("net", "1.0.0", &format!("{both},{PORTMAP}"));
        let before = traces();
        let [web, db] = ["web", "db"].map(Netns::new);
        let mut addresses = Vec::new();
        for pod in [web, db] {
            let added = client().add(&network, &attachment(pod)).unwrap();
            let (IpAddr::V4(address), _) = added.ips[0].address else { panic!("{added:?}") };
            assert_eq!(added.ips[1].address.1, 64);
            let (IpAddr::V6(address6), _) = added.ips[1].address else { panic!("{added:?}") };
            assert!(
                ip(&format!("-n {} -o addr show dev eth0", pod.0)).contains(&address6.to_string())
            );
            addresses.push(address);
        }
        for pod in [web, db] {
            let id = AttachmentId::new("net", pod.0, "eth0").unwrap();
            assert_eq!(client().check(&id, None).unwrap(), Asked::Answered);
        }
        db.serve(5432, Protocol::Tcp);
        let seen = web.inside(|| tcp(addresses[1], 5432));
        assert_eq!(seen, Some(addresses[0].to_string()));
        let valid = AttachmentId::new("net", "web", "eth0").unwrap();
        let asked = client().collect_garbage(&network, std::slice::from_ref(&valid)).unwrap();
        assert_eq!(asked, Asked::Unsupported, "the plugins are of 1.0.0");
        assert_eq!(client().attachments().unwrap(), std::slice::from_ref(&valid));
        assert!(!traces().contains(&addresses[1].to_string()));
        client().delete(&valid, None).unwrap();
        assert_eq!(traces(), before);
    });
}

#[test]
fn loopback_is_a_network_too() {
    with_plugins("loopback_is_a_network_too", || {
        let network = network("lo", "1.0.0", r#"{"type":"loopback"}"#);
        let netns = Netns::new("alone");
        let asked = Attachment::new("alone", "lo", "/run/netns/alone").unwrap();
        let added = client().add(&network, &asked).unwrap();
        assert_eq!(
            added.addresses_of("lo").next().unwrap().address.0,
            IpAddr::from([127, 0, 0, 1])
        );
        assert!(netns.inside(|| std::net::TcpListener::bind(("127.0.0.1", 80)).is_ok()));
        assert_eq!(client().check(&asked.id(&network), None).unwrap(), Asked::Answered);
        client().delete(&asked.id(&network), None).unwrap();
    });
}

#[test]
fn bandwidth_is_limited() {
    with_plugins("bandwidth_is_limited", || {
        let limits = r#"{"type":"bandwidth","capabilities":{"bandwidth":true}}"#;
        let network = network("net", "1.0.0", &format!("{BRIDGE},{limits}"));
        let mut asked = attachment(Netns::new("web"));
        let bandwidth =
            Bandwidth { ingress_rate: 8_000_000, ingress_burst: 80_000, ..Bandwidth::default() };
        asked.runtime.bandwidth = Some(bandwidth);
        match client().add(&network, &asked) {
            Ok(_) => {
                let rules = run("tc", &["qdisc"]);
                assert!(rules.contains("tbf") && rules.contains("rate 8Mbit"), "{rules}");
                client().delete(&asked.id(&network), None).unwrap();
            }
            // A kernel without the token bucket filter.
            Err(error) => {
                assert_eq!(error.plugin().unwrap().plugin, "bandwidth", "{error}");
                assert_eq!(client().attachments().unwrap(), []);
                eprintln!("measured nothing: {error}");
            }
        }
    });
}
