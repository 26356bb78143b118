//! Who reaches what, over IPv4 and IPv6: a host, a neighbour that knows all routes, and pods on several bridges.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips"
)]

mod node;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::AsFd,
};

use node::{
    HOST, HOST_6, NEIGHBOUR, NEIGHBOUR_6, Netns, addresses, answering, ask, attach_to, both,
    bridge, dual, further, gateways, interface, ip, neighbour, on_a_node, pod, port, run,
    serve_on_host, tcp,
};
use sandbar_network::{
    Access, Attachment, Bridge, DefaultRoute, ErrorKind, InterfaceName, PodAddresses, Protocol,
    PublishedPort, attach, publish, put_back, unpublish, unpublish_address,
};

const CALLS_NETFILTER: &str = "/proc/sys/net/bridge/bridge-nf-call-ip6tables";

/// The default bridge with IPv6 where bridges do not call netfilter, whatever the machine's own do.
fn dual_without_calls() -> Bridge {
    for setting in [CALLS_NETFILTER, "/proc/sys/net/bridge/bridge-nf-call-iptables"] {
        _ = fs::write(setting, "0");
    }
    dual()
}

/// The neighbour as an attacker: it sends what is for these pods by way of the host.
fn knows_the_way(bridge: &Bridge) {
    let (v4, v6) = (bridge.subnet(), bridge.subnet6().unwrap());
    ip(&format!("-n neighbour route add {v4} via {HOST}"));
    ip(&format!("-n neighbour -6 route add {v6} via {HOST_6}"));
}

fn everyone_reaches(bridge: &Bridge, protocol: Protocol) {
    let web = pod(bridge, "web", 2);
    let other = pod(bridge, "other", 3);
    web.serve(80, protocol);
    let to = addresses(bridge, 2);
    publish(to, &[port(8080, 80, protocol)]).unwrap();
    let neighbour = neighbour();
    let hosts = [IpAddr::V4(HOST), HOST_6.into()];
    let neighbours = [IpAddr::V4(NEIGHBOUR), NEIGHBOUR_6.into()];
    let families = gateways(bridge).into_iter().zip(hosts).zip(neighbours).zip(both(to));
    for (((gateway, host), neighbour_address), own) in families {
        let by_gateway = Some(gateway.to_string());
        assert_eq!(ask(protocol, host, 8080), Some(host.to_string()), "the host's address");
        assert_eq!(ask(protocol, gateway, 8080), by_gateway, "the gateway");
        assert_eq!(ask(protocol, own, 80), by_gateway, "straight");
        let seen = neighbour.inside(|| ask(protocol, host, 8080));
        assert_eq!(seen, Some(neighbour_address.to_string()), "the neighbour keeps its address");
        for pod in [other, web] {
            for to in [gateway, host] {
                assert_eq!(pod.inside(|| ask(protocol, to, 8080)), by_gateway, "{} {to}", pod.0);
            }
        }
    }
    let by_gateway = gateways(bridge).map(|address| Some(address.to_string()));
    assert_eq!(ask(protocol, Ipv4Addr::LOCALHOST, 8080), by_gateway[0]);
    assert_eq!(ask(protocol, Ipv6Addr::LOCALHOST, 8080), by_gateway[1]);
    unpublish(to, &[port(8080, 80, protocol)]).unwrap();
    for to in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), hosts[0], hosts[1]] {
        assert_eq!(ask(protocol, to, 8080), None, "{to}");
    }
}

#[test]
fn everyone_reaches_a_tcp_port_over_both() {
    on_a_node("everyone_reaches_a_tcp_port_over_both", || {
        everyone_reaches(&dual_without_calls(), Protocol::Tcp);
    });
}

#[test]
fn everyone_reaches_a_udp_port_over_both() {
    on_a_node("everyone_reaches_a_udp_port_over_both", || {
        everyone_reaches(&dual_without_calls(), Protocol::Udp);
    });
}

/// Where bridges call netfilter ::1 can't lead to a pod; that is told, and a connection refused at once.
#[test]
fn the_ipv6_loopback_is_refused_where_bridges_call_netfilter() {
    on_a_node("the_ipv6_loopback_is_refused_where_bridges_call_netfilter", || {
        if fs::write(CALLS_NETFILTER, "1").is_err() {
            eprintln!("skipped: no br_netfilter");
            return;
        }
        let bridge = Bridge::default().with_ipv6("fd00:84::/64".parse().unwrap(), None).unwrap();
        assert!(!bridge.ensure().unwrap().is_loopback6_published);
        let web = pod(&bridge, "web", 2);
        web.serve(80, Protocol::Tcp);
        publish(addresses(&bridge, 2), &[port(8080, 80, Protocol::Tcp)]).unwrap();
        let error = std::net::TcpStream::connect((Ipv6Addr::LOCALHOST, 8080)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        // All else works.
        let neighbour = neighbour();
        assert_eq!(neighbour.inside(|| tcp(HOST_6, 8080)), Some(NEIGHBOUR_6.to_string()));
        assert!(tcp(HOST_6, 8080).is_some() && tcp(Ipv4Addr::LOCALHOST, 8080).is_some());
        assert_eq!(web.inside(|| tcp(HOST_6, 8080)), bridge.gateway6().map(|it| it.to_string()));
        fs::write(CALLS_NETFILTER, "0").unwrap();
        assert!(bridge.ensure().unwrap().is_loopback6_published);
        assert!(tcp(Ipv6Addr::LOCALHOST, 8080).is_some());
    });
}

/// Row 30: who only has a route gets nowhere.
#[test]
fn row_30_a_neighbour_with_a_route_reaches_published_ports_alone() {
    on_a_node("row_30_a_neighbour_with_a_route_reaches_published_ports_alone", || {
        let bridge = dual_without_calls();
        let web = pod(&bridge, "web", 2);
        for port in [80, 81] {
            web.serve(port, Protocol::Tcp);
        }
        serve_on_host("127.0.0.1", 9999);
        serve_on_host("::1", 9999);
        let to = addresses(&bridge, 2);
        publish(to, &[port(8080, 80, Protocol::Tcp)]).unwrap();
        let neighbour = neighbour();
        knows_the_way(&bridge);
        ip("-n neighbour addr flush dev lo");
        ip("-n neighbour route add 127.0.0.0/8 via 192.0.2.1 dev eth0");
        ip("-n neighbour -6 route add ::1 via 2001:db8::1 dev eth0");
        neighbour.inside(|| fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").unwrap());
        let loopbacks = [IpAddr::V4(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
        let all = both(to).into_iter().chain(gateways(&bridge)).chain(loopbacks);
        assert_eq!(answering(neighbour, all, &[80, 81, 8080, 9999]), []);
        for address in [IpAddr::V4(HOST), HOST_6.into()] {
            assert!(neighbour.inside(|| tcp(address, 8080)).is_some(), "{address}");
        }
        // That it would get there but for the rules proves that it tried.
        for chain in ["prerouting_raw", "forward"] {
            run("nft", &["flush", "chain", "inet", "sandbar", chain]);
        }
        for address in both(to) {
            assert!(neighbour.inside(|| tcp(address, 81)).is_some(), "{address}");
        }
    });
}

#[test]
fn pods_of_other_networks_are_reached_by_published_ports_alone() {
    on_a_node("pods_of_other_networks_are_reached_by_published_ports_alone", || {
        let one = dual_without_calls();
        let two = further("two", 5, Access::Open);
        let apart = further("apart", 6, Access::Isolated);
        let web = pod(&one, "web", 2);
        let shop = pod(&two, "shop", 2);
        let hermit = pod(&apart, "hermit", 2);
        for (pod, bridge, host) in [(web, &one, 8080), (shop, &two, 8081), (hermit, &apart, 8082)] {
            pod.serve(80, Protocol::Tcp);
            publish(addresses(bridge, 2), &[port(host, 80, Protocol::Tcp)]).unwrap();
        }
        let neighbour = neighbour();
        neighbour.serve(80, Protocol::Tcp);
        for from in [shop, hermit] {
            assert_eq!(answering(from, both(addresses(&one, 2)), &[80]), [], "{}", from.0);
        }
        let hosts = [IpAddr::V4(HOST), HOST_6.into()];
        assert_eq!(answering(hermit, hosts, &[8080]), [], "published, from the isolated");
        assert_eq!(answering(web, hosts, &[8082]), [], "published, to the isolated");
        for (address, world) in
            [(IpAddr::V4(HOST), IpAddr::V4(NEIGHBOUR)), (HOST_6.into(), NEIGHBOUR_6.into())]
        {
            assert!(shop.inside(|| tcp(address, 8080)).is_some(), "published, {address}");
            assert!(hermit.inside(|| tcp(address, 8082)).is_some(), "itself, {address}");
            assert!(neighbour.inside(|| tcp(address, 8082)).is_some(), "from outside, {address}");
            for pod in [web, shop, hermit] {
                let seen = pod.inside(|| tcp(world, 80));
                assert_eq!(seen, Some(address.to_string()), "{} into the world", pod.0);
            }
        }
    });
}

#[test]
fn an_internal_network_has_the_host_alone() {
    on_a_node("an_internal_network_has_the_host_alone", || {
        // Forwarding is there, for another bridge's sake.
        let open = dual_without_calls();
        let inner = further("inner", 5, Access::Internal);
        let web = pod(&inner, "web", 2);
        let mate = pod(&inner, "mate", 3);
        let other = pod(&open, "other", 2);
        web.serve(80, Protocol::Tcp);
        other.serve(80, Protocol::Tcp);
        serve_on_host("::", 81);
        publish(addresses(&inner, 2), &[port(8080, 80, Protocol::Tcp)]).unwrap();
        publish(addresses(&open, 2), &[port(8081, 80, Protocol::Tcp)]).unwrap();
        let neighbour = neighbour();
        neighbour.serve(80, Protocol::Tcp);
        knows_the_way(&inner);
        for address in both(addresses(&inner, 2)) {
            assert!(mate.inside(|| tcp(address, 80)).is_some(), "each other");
            assert!(tcp(address, 80).is_some(), "from the host");
        }
        for gateway in gateways(&inner) {
            assert!(web.inside(|| tcp(gateway, 81)).is_some(), "to the host");
        }
        let hosts = [IpAddr::V4(HOST), HOST_6.into()];
        for host in hosts {
            assert!(tcp(host, 8080).is_some(), "published to the host");
        }
        for from in [neighbour, other] {
            let all = hosts.into_iter().chain(both(addresses(&inner, 2)));
            assert_eq!(answering(from, all, &[80, 8080]), [], "{}", from.0);
        }
        let world = [IpAddr::V4(NEIGHBOUR), NEIGHBOUR_6.into()];
        assert_eq!(answering(web, world, &[80]), []);
        assert_eq!(answering(web, hosts, &[8081]), []);
        assert!(
            tcp(Ipv4Addr::LOCALHOST, 8080).is_some() && tcp(Ipv6Addr::LOCALHOST, 8080).is_some()
        );
    });
}

#[test]
fn forwarding_is_switched_on_where_it_is_needed_and_told() {
    on_a_node("forwarding_is_switched_on_where_it_is_needed_and_told", || {
        ip("link add lan0 type veth peer name lan1");
        let read = |setting: &str| fs::read_to_string(format!("/proc/sys/net/{setting}")).unwrap();
        fs::write("/proc/sys/net/ipv6/conf/lan1/accept_ra", "0").unwrap();
        let inner = Bridge::new("inner".parse().unwrap(), "10.85.0.0/24".parse().unwrap())
            .with_access(Access::Internal)
            .with_ipv6("fd00:85::/64".parse().unwrap(), None)
            .unwrap();
        assert!(inner.ensure().unwrap().changed.is_empty());
        assert_eq!(read("ipv4/ip_forward") + &read("ipv6/conf/all/forwarding"), "0\n0\n");
        let told = |bridge: &Bridge| {
            let mut told: Vec<_> =
                bridge.ensure().unwrap().changed.iter().map(ToString::to_string).collect();
            told.sort();
            told
        };
        assert_eq!(told(&Bridge::default()), ["net.ipv4.ip_forward = 1 (was 0)"]);
        assert_eq!(read("ipv6/conf/all/forwarding"), "0\n");
        let bridge = Bridge::default().with_ipv6("fd00:84::/64".parse().unwrap(), None).unwrap();
        assert_eq!(
            told(&bridge),
            [
                "net.ipv6.conf.all.forwarding = 1 (was 0)",
                "net.ipv6.conf.lan0.accept_ra = 2 (was 1)"
            ]
        );
        assert_eq!(told(&bridge), [""; 0]);
        let settings = bridge.settings();
        assert_eq!(settings[2].name, "net.ipv6.conf.all.forwarding");
        for setting in settings.iter().filter(|setting| setting.needed.is_some()) {
            assert_eq!(setting.value.as_deref(), setting.needed, "{setting:?}");
        }
        assert_eq!(read("ipv6/conf/lan1/accept_ra"), "0\n");
        assert_eq!(read("ipv4/conf/all/route_localnet"), "0\n");
    });
}

#[test]
fn a_bridge_is_as_it_was_asked_for_and_can_be_removed() {
    on_a_node("a_bridge_is_as_it_was_asked_for_and_can_be_removed", || {
        let other = dual();
        let bridge = Bridge::new("sb-0123456789".parse().unwrap(), "10.90.0.0/24".parse().unwrap())
            .with_gateway(Ipv4Addr::new(10, 90, 0, 254))
            .unwrap()
            .with_ipv6("fd00:90::/64".parse().unwrap(), Some("fd00:90::fe".parse().unwrap()))
            .unwrap()
            .with_mtu(1400)
            .unwrap()
            .with_access(Access::Isolated);
        for damage in ["link show lo", "link del sb-0123456789", "link set sb-0123456789 mtu 1500"]
        {
            ip(damage);
            bridge.ensure().unwrap();
            let shown = ip("addr show dev sb-0123456789");
            for text in ["mtu 1400", "10.90.0.254/24", "fd00:90::fe/64"] {
                assert!(shown.contains(text), "{text}: {shown}");
            }
        }
        pod(&bridge, "web", 2);
        let inside = ip("-n web addr show dev eth0");
        let own = inside.lines().find(|line| line.contains("fd00:90::2/64"));
        assert!(inside.contains("mtu 1400"), "{inside}");
        assert!(own.is_some_and(|line| !line.contains("tentative")), "{inside}");
        assert!(ip("-n web route").contains("default via 10.90.0.254"));
        assert!(ip("-n web -6 route").contains("default via fd00:90::fe"));
        let table = run("nft", &["list", "table", "inet", "sandbar"]);
        assert!(table.contains("10.90.0.0/24") && table.contains("fd00:90::/64"), "{table}");
        // Its access is another now.
        let bridge = bridge.with_access(Access::Internal);
        bridge.ensure().unwrap();
        bridge.remove().unwrap();
        bridge.remove().unwrap();
        let table = run("nft", &["list", "table", "inet", "sandbar"]);
        assert!(!table.contains("10.90.") && !table.contains("fd00:90"), "{table}");
        assert!(!table.contains("sb-0123456789") && table.contains("sandbar0"), "{table}");
        assert!(!ip("link").contains("sb-0123456789"));
        assert!(other.ensure().is_ok());
        // Somebody else's are neither taken nor removed.
        ip("link add sb-0123456789 type bridge");
        assert_eq!(bridge.ensure().unwrap_err().kind(), ErrorKind::InterfaceTaken);
        bridge.remove().unwrap();
        assert!(ip("link").contains("sb-0123456789"));
    });
}

#[test]
fn an_overlapping_ipv6_subnet_is_refused_and_nothing_left() {
    on_a_node("an_overlapping_ipv6_subnet_is_refused_and_nothing_left", || {
        ip("link add lan0 type veth peer name lan1");
        ip("link set lan0 up");
        ip("addr add fd00:84::9/48 dev lan0 nodad");
        let bridge = Bridge::default().with_ipv6("fd00:84::/64".parse().unwrap(), None).unwrap();
        let error = bridge.ensure().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SubnetTaken);
        assert!(error.to_string().contains("fd00:84::/64 overlaps"), "{error}");
        assert_eq!(run("nft", &["list", "ruleset"]), "");
        assert!(!ip("-o link").contains("sandbar0"));
    });
}

#[test]
fn an_older_versions_table_goes() {
    on_a_node("an_older_versions_table_goes", || {
        run("nft", &["add table ip sandbar; add map ip sandbar published { type mark : mark; }"]);
        bridge();
        assert_eq!(run("nft", &["list", "tables"]), "table inet sandbar\n");
    });
}

#[test]
fn a_host_without_ipv6_is_told_and_has_ipv4() {
    on_a_node("a_host_without_ipv6_is_told_and_has_ipv4", || {
        fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
        let bridge = Bridge::default().with_ipv6("fd00:84::/64".parse().unwrap(), None).unwrap();
        let told = bridge.ensure().unwrap().without_ipv6.unwrap();
        assert_eq!(told.to_string(), "net.ipv6.conf.all.disable_ipv6 is set");
        let web = Netns::new("web");
        assert_eq!(attach_to(&bridge, web, 2).unwrap().without_ipv6, Some(told));
        web.serve(80, Protocol::Tcp);
        publish(addresses(&bridge, 2), &[port(8080, 80, Protocol::Tcp)]).unwrap();
        assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_some());
    });
}

#[test]
fn a_pod_is_on_several_bridges_with_chosen_names_and_addresses() {
    on_a_node("a_pod_is_on_several_bridges_with_chosen_names_and_addresses", || {
        let one = dual();
        let two = further("two", 5, Access::Open);
        let web = pod(&one, "web", 2);
        let attachment = Attachment {
            pod_interface: "eth1".parse().unwrap(),
            mac: Some("02:00:00:00:00:07".parse().unwrap()),
            default_route: DefaultRoute::Elsewhere,
            ..Attachment::new(InterfaceName::for_pod_further("web", 1).unwrap(), addresses(&two, 7))
        };
        attach(&two, web.file().as_fd(), &attachment).unwrap();
        let shown = ip("-n web addr show dev eth1");
        for text in ["02:00:00:00:00:07", "10.85.0.7/24", "fd00:85::7/64"] {
            assert!(shown.contains(text), "{text}: {shown}");
        }
        assert_eq!(ip("-n web route").matches("default").count(), 1);
        assert_eq!(ip("-n web -6 route").matches("default").count(), 1);
        let mate = pod(&two, "mate", 3);
        web.serve(80, Protocol::Tcp);
        for address in both(addresses(&two, 7)) {
            assert!(mate.inside(|| tcp(address, 80)).is_some(), "{address}");
        }
        // IPv6 on a bridge without.
        let plain = Bridge::new("plain".parse().unwrap(), "10.86.0.0/24".parse().unwrap());
        plain.ensure().unwrap();
        let wrong = PodAddresses { v4: addresses(&plain, 2).v4, v6: addresses(&one, 9).v6 };
        let error = attach(&plain, mate.file().as_fd(), &Attachment::new(interface(mate), wrong))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("plain has no IPv6"), "{error}");
    });
}

/// CVE-2020-10749: a router's advertisement from a neighbour, or a pod.
#[test]
fn row_30_a_router_advertisement_changes_nothing_in_a_pod() {
    on_a_node("row_30_a_router_advertisement_changes_nothing_in_a_pod", || {
        let bridge = dual_without_calls();
        let web = pod(&bridge, "web", 2);
        let rogue = pod(&bridge, "rogue", 3);
        let seen = || (ip("-n web -6 route"), ip("-n web -6 -o addr"), ip("-6 route show default"));
        let before = seen();
        rogue.inside(advertise);
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(seen(), before);
        // That it would have had an effect proves that it was sent.
        for (setting, value) in [("accept_ra", "2"), ("autoconf", "1")] {
            let path = format!("/proc/sys/net/ipv6/conf/eth0/{setting}");
            web.inside(|| fs::write(path, value).unwrap());
        }
        rogue.inside(advertise);
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(ip("-n web -6 -o addr").contains("2001:db8:bad:"), "{}", seen().1);
    });
}

/// Sends a router's advertisement (RFC 4861, 4.2) of 2001:db8:bad::/64 to all on the link.
fn advertise() {
    use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket, sockopt};
    let socket = socket(AddressFamily::INET6, SocketType::RAW, Some(ipproto::ICMPV6)).unwrap();
    sockopt::set_ipv6_multicast_hops(&socket, 255).unwrap();
    let mut message = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend([3, 4, 64, 0xc0, 0, 0, 7, 8, 0, 0, 7, 8, 0, 0, 0, 0]);
    message.extend("2001:db8:bad::".parse::<Ipv6Addr>().unwrap().octets());
    let index = rustix::net::netdevice::name_to_index(&socket, "eth0").unwrap();
    let all = std::net::SocketAddrV6::new("ff02::1".parse().unwrap(), 0, 0, index);
    sendto(&socket, &message, SendFlags::empty(), &all).unwrap();
}

#[test]
fn a_port_at_one_ipv6_address_is_at_that_alone() {
    on_a_node("a_port_at_one_ipv6_address_is_at_that_alone", || {
        let bridge = dual_without_calls();
        pod(&bridge, "web", 2).serve(80, Protocol::Tcp);
        let neighbour = neighbour();
        let at = |ip: Ipv6Addr| PublishedPort {
            host_ip: Some(ip.into()),
            ..port(8080, 80, Protocol::Tcp)
        };
        let to = addresses(&bridge, 2);
        publish(to, &[at(Ipv6Addr::LOCALHOST)]).unwrap();
        assert!(tcp(Ipv6Addr::LOCALHOST, 8080).is_some());
        assert!(tcp(HOST_6, 8080).is_none() && tcp(Ipv4Addr::LOCALHOST, 8080).is_none());
        assert!(neighbour.inside(|| tcp(HOST_6, 8080)).is_none());
        publish(to, &[at(HOST_6)]).unwrap();
        assert!(neighbour.inside(|| tcp(HOST_6, 8080)).is_some());
        let error = publish(to.v4, &[at(HOST_6)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        unpublish_address(to).unwrap();
        assert!(tcp(Ipv6Addr::LOCALHOST, 8080).is_none());
    });
}

#[test]
fn what_a_reload_flushed_is_put_back() {
    on_a_node("what_a_reload_flushed_is_put_back", || {
        let bridge = dual_without_calls();
        pod(&bridge, "web", 2).serve(80, Protocol::Tcp);
        let to = addresses(&bridge, 2);
        let ports = [port(8080, 80, Protocol::Tcp)];
        publish(to, &ports).unwrap();
        for flush in ["ruleset", "map inet sandbar published6", "chain inet sandbar output"] {
            run("nft", &[&format!("flush {flush}")]);
            if flush.starts_with("chain") {
                run("nft", &["flush set inet sandbar versions"]);
            }
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| put_back(std::slice::from_ref(&bridge), to, &ports).unwrap());
                }
            });
            assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_some(), "{flush}");
            assert!(tcp(Ipv6Addr::LOCALHOST, 8080).is_some(), "{flush}");
        }
        // Whoever calls is whose ports these are, whatever a listing that was loaded says; and no other leads there.
        pod(&bridge, "next", 3).serve(80, Protocol::Tcp);
        let next = addresses(&bridge, 3);
        publish(next, &[port(8081, 80, Protocol::Tcp)]).unwrap();
        put_back(&[], next, &ports).unwrap();
        unpublish_address(to).unwrap();
        assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_some(), "it leads to the next pod");
        assert!(tcp(Ipv4Addr::LOCALHOST, 8081).is_none(), "it was not among the ports");
    });
}
