//! Who reaches a published port, and as whom.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips"
)]

mod node;

use std::{net::Ipv4Addr, os::fd::OwnedFd};

use node::{
    HOST, NEIGHBOUR, Netns, addresses, ask, bridge, dual, neighbour, on_a_node, pod, pod_address,
    port, run, tcp,
};
use rustix::net::{RecvFlags, recv};
use sandbar_network::{
    Bridge, ErrorKind, Protocol, PublishedPort, Reach, Result, Watch, publish, put_back, reserve,
    unpublish, unpublish_address,
};

/// A pod that serves 80, published at 8080, and one beside it.
fn two_pods(protocol: Protocol) -> (Bridge, Netns, Netns) {
    let bridge = bridge();
    let web = pod(&bridge, "web", 2);
    let other = pod(&bridge, "other", 3);
    web.serve(80, protocol);
    publish(pod_address(2), &[port(8080, 80, protocol)]).unwrap();
    (bridge, web, other)
}

fn everyone_reaches(protocol: Protocol) {
    let (bridge, web, other) = two_pods(protocol);
    let neighbour = neighbour();
    let gateway = Some(bridge.gateway().to_string());
    assert_eq!(ask(protocol, Ipv4Addr::LOCALHOST, 8080), gateway, "127.0.0.1");
    assert_eq!(ask(protocol, Ipv4Addr::new(127, 9, 9, 9), 8080), gateway, "127.9.9.9");
    assert_eq!(ask(protocol, HOST, 8080), Some(HOST.to_string()), "the host's address");
    assert_eq!(ask(protocol, bridge.gateway(), 8080), gateway, "the gateway");
    assert_eq!(ask(protocol, pod_address(2), 80), gateway, "straight");
    assert_eq!(neighbour.inside(|| ask(protocol, HOST, 8080)), Some(NEIGHBOUR.to_string()));
    for pod in [other, web] {
        assert_eq!(
            pod.inside(|| ask(protocol, bridge.gateway(), 8080)),
            gateway,
            "{} by gateway",
            pod.0
        );
        assert_eq!(pod.inside(|| ask(protocol, HOST, 8080)), gateway, "{} by host", pod.0);
    }
    let seen = other.inside(|| ask(protocol, pod_address(2), 80));
    assert_eq!(seen, Some(pod_address(3).to_string()), "pod to pod keeps the address");
    unpublish(pod_address(2), &[port(8080, 80, protocol)]).unwrap();
    assert_eq!(ask(protocol, Ipv4Addr::LOCALHOST, 8080), None);
    assert_eq!(neighbour.inside(|| ask(protocol, HOST, 8080)), None);
}

#[test]
fn everyone_reaches_a_tcp_port() {
    on_a_node("everyone_reaches_a_tcp_port", || everyone_reaches(Protocol::Tcp));
}

#[test]
fn everyone_reaches_a_udp_port() {
    on_a_node("everyone_reaches_a_udp_port", || everyone_reaches(Protocol::Udp));
}

/// `br_netfilter`, which Kubernetes wants and Docker loads, redirects within the bridge.
#[test]
fn everyone_reaches_a_port_whether_bridges_call_netfilter_or_not() {
    on_a_node("everyone_reaches_a_port_whether_bridges_call_netfilter_or_not", || {
        let setting = "/proc/sys/net/bridge/bridge-nf-call-iptables";
        let Ok(before) = std::fs::read_to_string(setting) else {
            eprintln!("skipped: no br_netfilter");
            return;
        };
        let other = if before.trim() == "0" { "1" } else { "0" };
        std::fs::write(setting, other).unwrap();
        everyone_reaches(Protocol::Tcp);
    });
}

#[test]
fn a_port_at_one_address_is_at_that_alone() {
    on_a_node("a_port_at_one_address_is_at_that_alone", || {
        let bridge = bridge();
        pod(&bridge, "web", 2).serve(80, Protocol::Tcp);
        pod(&bridge, "second", 3).serve(81, Protocol::Tcp);
        let neighbour = neighbour();
        let local = PublishedPort {
            host_ip: Some(Ipv4Addr::LOCALHOST.into()),
            ..port(8080, 80, Protocol::Tcp)
        };
        publish(pod_address(2), &[local]).unwrap();
        assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_some());
        assert!(tcp(HOST, 8080).is_none());
        assert!(neighbour.inside(|| tcp(HOST, 8080)).is_none());
        // The same port at all other addresses is another.
        publish(pod_address(3), &[port(8080, 81, Protocol::Tcp)]).unwrap();
        assert!(neighbour.inside(|| tcp(HOST, 8080)).is_some());
        unpublish_address(pod_address(3)).unwrap();
        assert!(tcp(HOST, 8080).is_none());
        assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_some());
        unpublish(pod_address(2), &[local]).unwrap();
        assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_none());
    });
}

#[test]
fn a_port_is_published_once_and_a_failure_publishes_nothing() {
    on_a_node("a_port_is_published_once_and_a_failure_publishes_nothing", || {
        let (_, _, other) = two_pods(Protocol::Tcp);
        other.serve(80, Protocol::Tcp);
        let wanted = [9090, 8080, 9091].map(|host| port(host, 80, Protocol::Tcp));
        let error = publish(pod_address(3), &wanted).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PortTaken);
        assert_eq!(error.to_string(), "port 8080/tcp is published already");
        assert!(tcp(HOST_LOOPBACK, 8080).is_some(), "the first is unharmed");
        assert!(tcp(HOST_LOOPBACK, 9090).is_none() && tcp(HOST_LOOPBACK, 9091).is_none());
        // Of the wrong owner: nothing happens.
        unpublish(pod_address(3), &wanted).unwrap();
        unpublish_address(pod_address(3)).unwrap();
        assert!(tcp(HOST_LOOPBACK, 8080).is_some());
        // The same port of another protocol is another port; twice in one call is once too often.
        publish(pod_address(3), &[port(8080, 80, Protocol::Udp)]).unwrap();
        let twice = [port(7070, 80, Protocol::Tcp), port(7070, 81, Protocol::Tcp)];
        assert_eq!(publish(pod_address(3), &twice).unwrap_err().kind(), ErrorKind::PortTaken);
        unpublish_address(pod_address(2)).unwrap();
        unpublish_address(pod_address(2)).unwrap();
        assert!(tcp(HOST_LOOPBACK, 8080).is_none());
        publish(pod_address(3), &wanted).unwrap();
        assert!(tcp(HOST_LOOPBACK, 8080).is_some());
        unpublish_address(pod_address(3)).unwrap();
        assert!(!run("nft", &["list", "table", "inet", "sandbar"]).contains("10.84.0.3"));
    });
}

const HOST_LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[test]
fn thousands_of_ports_are_one_transaction() {
    on_a_node("thousands_of_ports_are_one_transaction", || {
        let bridge = dual();
        let [one, other] = [2, 3].map(|n| addresses(&bridge, n));
        let ports: Vec<_> = (10_000..20_000).map(|n| port(n, 80, Protocol::Tcp)).collect();
        publish(one, &ports).unwrap();
        assert_eq!(publish(other, &ports[9_999..]).unwrap_err().kind(), ErrorKind::PortTaken);
        unpublish_address(one).unwrap();
        publish(other, &ports).unwrap();
        unpublish(other, &ports).unwrap();
        let table = run("nft", &["list", "table", "inet", "sandbar"]);
        assert!(!table.contains("10.84.0.3") && !table.contains("fd00:84::3"), "{table}");
    });
}

#[test]
fn without_a_table_nothing_can_be_published_and_nothing_is() {
    on_a_node("without_a_table_nothing_can_be_published_and_nothing_is", || {
        let ports = [port(8080, 80, Protocol::Tcp)];
        assert_eq!(publish(pod_address(2), &ports).unwrap_err().kind(), ErrorKind::NotReady);
        unpublish(pod_address(2), &ports).unwrap();
        unpublish_address(pod_address(2)).unwrap();
    });
}

fn hold(port: &PublishedPort) -> Result<Option<OwnedFd>> {
    reserve(port, Reach::Both)
}

#[test]
fn a_reserved_port_is_nobody_elses() {
    on_a_node("a_reserved_port_is_nobody_elses", || {
        use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let held = hold(&port(8080, 80, protocol)).unwrap();
            let error = hold(&port(8080, 80, protocol)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PortTaken);
            assert_eq!(error.to_string(), format!("port 8080/{protocol} is in use on the host"));
            let kind =
                if protocol == Protocol::Tcp { SocketType::STREAM } else { SocketType::DGRAM };
            let intruder = socket(AddressFamily::INET, kind, None).unwrap();
            sockopt::set_socket_reuseaddr(&intruder, true).unwrap();
            let address = std::net::SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080);
            let taken = bind(&intruder, &address).and_then(|()| {
                if protocol == Protocol::Tcp { listen(&intruder, 1) } else { Ok(()) }
            });
            assert!(taken.is_err(), "{protocol}");
            drop(held);
            hold(&port(8080, 80, protocol)).unwrap();
        }
        // A server that has just ended leaves a connection in TIME_WAIT, which takes the port from nobody.
        let server = std::net::TcpListener::bind("127.0.0.1:8081").unwrap();
        let client = std::net::TcpStream::connect("127.0.0.1:8081").unwrap();
        let (accepted, _) = server.accept().unwrap();
        assert_eq!(hold(&port(8081, 80, Protocol::Tcp)).unwrap_err().kind(), ErrorKind::PortTaken);
        drop((accepted, server));
        drop(client);
        let held = hold(&port(8081, 80, Protocol::Tcp)).unwrap();
        assert!(std::net::TcpListener::bind("127.0.0.1:8081").is_err());
        drop(held);
        let elsewhere = PublishedPort {
            host_ip: Some(Ipv4Addr::new(203, 0, 113, 9).into()),
            ..port(8080, 80, Protocol::Tcp)
        };
        assert_eq!(hold(&elsewhere).unwrap_err().kind(), ErrorKind::NotLocal);
    });
}

#[test]
fn a_reserved_and_published_port_is_reached() {
    on_a_node("a_reserved_and_published_port_is_reached", || {
        let held = hold(&port(8080, 80, Protocol::Tcp)).unwrap();
        two_pods(Protocol::Tcp);
        let neighbour = neighbour();
        assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_some());
        assert!(neighbour.inside(|| tcp(HOST, 8080)).is_some());
        drop(held);
    });
}

/// As when another of a pod's networks becomes its way to the world: at no moment nobody has the port.
#[test]
fn a_port_moves_to_another_address_in_one_transaction() {
    on_a_node("a_port_moves_to_another_address_in_one_transaction", || {
        let (bridge, _web, other) = two_pods(Protocol::Tcp);
        other.serve(80, Protocol::Tcp);
        let ports = [port(8080, 80, Protocol::Tcp), port(8081, 80, Protocol::Udp)];
        let socket = Watch::open("nobody").unwrap().into_socket();
        put_back(std::slice::from_ref(&bridge), pod_address(3), &ports).unwrap();
        assert_eq!(transactions(&socket), 1);
        put_back(std::slice::from_ref(&bridge), pod_address(3), &ports).unwrap();
        unpublish(pod_address(2), &ports).unwrap();
        assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_some());
        unpublish(pod_address(3), &ports).unwrap();
        assert_eq!(tcp(Ipv4Addr::LOCALHOST, 8080), None);
    });
}

/// How many there were of the table's ports: the kernel tells of each one's end (`NFT_MSG_NEWGEN`).
fn transactions(socket: &OwnedFd) -> usize {
    const END: u16 = 10 << 8 | 15;
    let mut count = 0;
    let mut buffer = vec![0; 1 << 16];
    while let Ok((length, _)) = recv(socket, &mut buffer[..], RecvFlags::DONTWAIT) {
        let mut rest = &buffer[..length];
        while let [a, b, c, d, kind, subsystem, ..] = *rest {
            count += usize::from(u16::from_ne_bytes([kind, subsystem]) == END);
            let length = u32::from_ne_bytes([a, b, c, d]).next_multiple_of(4);
            rest = rest.get(usize::try_from(length).unwrap()..).unwrap_or_default();
        }
    }
    count
}
