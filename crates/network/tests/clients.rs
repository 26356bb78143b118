//! Whom a pod sees when another pod comes by way of the host to its published port.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips"
)]

mod node;

use std::{fs, net::IpAddr, os::fd::AsFd, thread};

use node::{
    HOST, HOST_6, addresses, ask, both, dual, further, gateways, neighbour, on_a_node, pod, port,
    run, tcp,
};
use sandbar_network::{
    Access, Attachment, DefaultRoute, Protocol, attach, publish, put_back, unpublish_address,
};

/// Within a network the gateway, for the server would answer past the host; across networks the client itself.
fn the_client_is_seen_across_networks(bridges_call_netfilter: &str) {
    for setting in ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"] {
        _ = fs::write(format!("/proc/sys/net/bridge/{setting}"), bridges_call_netfilter);
    }
    let first = dual();
    let second = further("second", 5, Access::Open);
    let client = pod(&first, "client", 2);
    let [server, mate] = [("server", 2), ("mate", 3)].map(|(name, n)| pod(&second, name, n));
    neighbour();
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        server.serve(80, protocol);
        publish(addresses(&second, 2), &[port(8080, 80, protocol)]).unwrap();
        let hosts = [IpAddr::V4(HOST), HOST_6.into()];
        let ways = gateways(&first).into_iter().zip(gateways(&second)).zip(hosts);
        for (((far, near), host), own) in ways.zip(both(addresses(&first, 2))) {
            for to in [host, far, near] {
                let seen = client.inside(|| ask(protocol, to, 8080));
                assert_eq!(seen, Some(own.to_string()), "{protocol} by {to}");
                for pod in [mate, server] {
                    let seen = pod.inside(|| ask(protocol, to, 8080));
                    assert_eq!(seen, Some(near.to_string()), "{protocol}: {} by {to}", pod.0);
                }
            }
        }
    }
}

/// It would answer past the host, by its own interface on the client's network.
#[test]
fn a_server_on_the_clients_network_too_sees_the_gateway() {
    on_a_node("a_server_on_the_clients_network_too_sees_the_gateway", || {
        let first = dual();
        let second = further("second", 5, Access::Open);
        let client = pod(&first, "client", 2);
        let server = pod(&second, "server", 2);
        let also = Attachment {
            pod_interface: "eth1".parse().unwrap(),
            default_route: DefaultRoute::Elsewhere,
            ..Attachment::new("sb-also".parse().unwrap(), addresses(&first, 3))
        };
        attach(&first, server.file().as_fd(), &also).unwrap();
        server.serve(80, Protocol::Tcp);
        let to = addresses(&second, 2);
        let ports = [port(8080, 80, Protocol::Tcp)];
        publish(to, &ports).unwrap();
        first.share(to).unwrap();
        first.share(to).unwrap();
        let seen = || gateways(&second).map(|by| client.inside(|| tcp(by, 8080)));
        let by_gateway = gateways(&second).map(|it| Some(it.to_string()));
        assert_eq!(seen(), by_gateway);
        run("nft", &["flush", "ruleset"]);
        put_back(&[second.clone(), first.clone()], to, &ports).unwrap();
        assert_eq!(seen(), by_gateway);
        let noted = || {
            run("nft", &["list", "table", "inet", "sandbar"]).contains("10.84.0.0/16 . 10.85.0.2")
        };
        assert!(noted());
        first.unshare(to).unwrap();
        assert!(!noted());
        first.share(to).unwrap();
        unpublish_address(to).unwrap();
        assert!(!noted());
    });
}

/// All of a transaction takes effect, or none: what one process forgot keeps no other from forgetting the rest.
#[test]
fn two_that_forget_at_once_leave_nothing() {
    on_a_node("two_that_forget_at_once_leave_nothing", || {
        let (first, second) = (dual(), further("second", 5, Access::Open));
        let to = addresses(&further("third", 6, Access::Open), 2);
        for _ in 0..200 {
            first.share(to).unwrap();
            second.share(to).unwrap();
            thread::scope(|scope| {
                scope.spawn(|| unpublish_address(to).unwrap());
                scope.spawn(|| first.unshare(to).unwrap());
            });
            let table = run("nft", &["list", "table", "inet", "sandbar"]);
            for own in both(to) {
                assert!(!table.contains(&format!(" . {own}")), "{own}: {table}");
            }
        }
    });
}

#[test]
fn the_client_is_seen_across_networks_where_bridges_call_netfilter() {
    on_a_node("the_client_is_seen_across_networks_where_bridges_call_netfilter", || {
        the_client_is_seen_across_networks("1");
    });
}

#[test]
fn the_client_is_seen_across_networks_where_bridges_do_not_call_netfilter() {
    on_a_node("the_client_is_seen_across_networks_where_bridges_do_not_call_netfilter", || {
        the_client_is_seen_across_networks("0");
    });
}
