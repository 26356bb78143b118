//! UDP flows that began before a port was published, or another pod's.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips"
)]

mod node;

use std::{
    io::ErrorKind,
    net::{IpAddr, UdpSocket},
    time::{Duration, Instant},
};

use node::{HOST, HOST_6, NEIGHBOUR, addresses, dual, neighbour, on_a_node, pod, port, run};
use sandbar_network::{Protocol, PublishedPort, publish, unpublish, unpublish_address};

/// A client that always sends from one port.
struct Client(UdpSocket);

impl Client {
    fn of(netns: node::Netns, to: impl Into<IpAddr>, port: u16) -> Self {
        let to = to.into();
        let any = if to.is_ipv6() { "[::]:5000" } else { "0.0.0.0:5000" };
        let socket = netns.inside(|| UdpSocket::bind(any).unwrap());
        socket.connect((to, port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        Self(socket)
    }

    /// Whether it is answered, asking for a while: less than an entry needs to end by itself.
    fn is_answered(&self) -> bool {
        let begin = Instant::now();
        let mut buffer = [0; 64];
        while begin.elapsed() < Duration::from_secs(2) {
            // What the host refused before comes as an error.
            _ = self.0.send(b"?");
            match self.0.recv(&mut buffer) {
                Ok(_) => return true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
        false
    }
}

#[test]
fn a_udp_client_that_asked_too_early_reaches_the_pod() {
    on_a_node("a_udp_client_that_asked_too_early_reaches_the_pod", || {
        let bridge = dual();
        pod(&bridge, "web", 2).serve(80, Protocol::Udp);
        let neighbour = neighbour();
        for host in [IpAddr::V4(HOST), HOST_6.into()] {
            // A socket that is there keeps the entry, as one that holds a port does.
            let held = UdpSocket::bind((host, 8080)).unwrap();
            let client = Client::of(neighbour, host, 8080);
            assert!(!client.is_answered());
            publish(addresses(&bridge, 2), &[port(8080, 80, Protocol::Udp)]).unwrap();
            assert!(client.is_answered(), "{host}");
            unpublish_address(addresses(&bridge, 2)).unwrap();
            assert!(!client.is_answered(), "{host}, after all");
            drop(held);
        }
    });
}

#[test]
fn a_udp_client_of_one_pod_reaches_the_next_that_has_the_port() {
    on_a_node("a_udp_client_of_one_pod_reaches_the_next_that_has_the_port", || {
        let bridge = dual();
        let [one, _] = [("one", 2), ("two", 3)].map(|(name, n)| {
            let pod = pod(&bridge, name, n);
            pod.serve(80, Protocol::Udp);
            pod
        });
        one.serve(81, Protocol::Udp);
        let client = Client::of(neighbour(), HOST, 8080);
        let [to, next] = [2, 3].map(|n| addresses(&bridge, n));
        let wanted = [port(8080, 80, Protocol::Udp)];
        publish(to, &wanted).unwrap();
        // Another flow to the same pod, which goes on.
        let other = [PublishedPort { host_ip: Some(HOST.into()), ..port(8081, 81, Protocol::Udp) }];
        publish(to, &other).unwrap();
        let stays = node::Netns("neighbour").inside(|| UdpSocket::bind((NEIGHBOUR, 5001)).unwrap());
        stays.connect((HOST, 8081)).unwrap();
        stays.send(b"?").unwrap();
        assert!(client.is_answered());
        let flows = || run("cat", &["/proc/net/nf_conntrack"]);
        unpublish(to, &wanted).unwrap();
        assert!(!client.is_answered());
        publish(next, &wanted).unwrap();
        assert!(client.is_answered());
        if std::path::Path::new("/proc/net/nf_conntrack").exists() {
            assert!(flows().contains("src=10.84.0.2 dst=192.0.2.2 sport=81"), "{}", flows());
            assert!(!flows().contains("src=10.84.0.2 dst=192.0.2.2 sport=80 "), "{}", flows());
        }
    });
}
