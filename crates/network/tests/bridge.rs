//! The bridge, and pods put on it and taken off.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips"
)]

mod node;

use std::{fs, net::Ipv4Addr, os::fd::AsFd, thread, time::Instant};

use node::{
    HOST, NEIGHBOUR, Netns, addresses, attach_to, bridge, dual, interface, ip, neighbour,
    on_a_node, pod, pod_address, port, run, serve_on_host, tcp,
};
use sandbar_network::{
    Attachment, Bridge, ErrorKind, Leases, PodAddresses, Pool, Protocol, PublishedPort, Wanted,
    attach, bring_up_loopback, detach, publish, unpublish,
};

#[test]
fn the_bridge_is_made_once_by_many_at_once() {
    on_a_node("the_bridge_is_made_once_by_many_at_once", || {
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| Bridge::default().ensure().unwrap());
            }
        });
        let rules = run("nft", &["list", "table", "inet", "sandbar"]);
        let times = [
            (" masquerade\n", 6),
            ("jump published_ports", 2),
            ("map @published\n", 1),
            ("map @published_at\n", 1),
            ("map @published6\n", 1),
            ("map @published_at6\n", 1),
            (" drop\n", 11),
        ];
        for (text, times) in times {
            assert_eq!(rules.matches(text).count(), times, "{text}:\n{rules}");
        }
        // An administrator who saves the host's rules must be able to load them again.
        let port = port(8080, 80, Protocol::Tcp);
        let local = PublishedPort { host_ip: Some(Ipv4Addr::LOCALHOST.into()), ..port };
        publish(pod_address(2), &[port, local]).unwrap();
        fs::write("/run/rules", run("nft", &["list", "ruleset"])).unwrap();
        run("nft", &["-c", "-f", "/run/rules"]);
        let addresses = ip("-4 -o address show dev sandbar0");
        assert_eq!(addresses.matches("10.84.0.1/16").count(), 1, "{addresses}");
        assert_eq!(fs::read("/proc/sys/net/ipv4/ip_forward").unwrap(), b"1\n");
        assert_eq!(fs::read("/proc/sys/net/ipv4/conf/sandbar0/route_localnet").unwrap(), b"1\n");
        assert_eq!(fs::read("/proc/sys/net/ipv4/conf/all/route_localnet").unwrap(), b"0\n");
    });
}

#[test]
fn what_is_broken_is_mended_and_ports_stay() {
    on_a_node("what_is_broken_is_mended_and_ports_stay", || {
        let bridge = bridge();
        pod(&bridge, "web", 2).serve(80, Protocol::Tcp);
        publish(pod_address(2), &[port(8080, 80, Protocol::Tcp)]).unwrap();
        let damages: [&[&str]; 5] = [
            &["ip", "addr", "flush", "dev", "sandbar0"],
            &["ip", "link", "set", "sandbar0", "down"],
            &["sh", "-c", "echo 0 >/proc/sys/net/ipv4/ip_forward"],
            &["sh", "-c", "echo 0 >/proc/sys/net/ipv4/conf/sandbar0/route_localnet"],
            // As an older version's rules would be.
            &[
                "sh",
                "-c",
                "nft flush set inet sandbar versions && nft flush chain inet sandbar output",
            ],
        ];
        for damage in damages {
            run(damage[0], &damage[1..]);
            bridge.ensure().unwrap();
            assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_some(), "{damage:?}");
        }
        run("nft", &["flush", "ruleset"]);
        assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_none());
        bridge.ensure().unwrap();
        publish(pod_address(2), &[port(8080, 80, Protocol::Tcp)]).unwrap();
        assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_some());
    });
}

#[test]
fn a_subnet_in_use_is_refused_and_nothing_left() {
    on_a_node("a_subnet_in_use_is_refused_and_nothing_left", || {
        ip("link add lan0 type veth peer name lan1");
        ip("addr add 10.84.3.1/24 dev lan0");
        ip("link set lan0 up");
        let error = Bridge::default().ensure().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SubnetTaken);
        let text = error.to_string();
        assert!(
            text.contains("10.84.0.0/16") && text.contains("10.84.3.") && text.contains("lan0"),
            "{text}"
        );
        assert_eq!(run("nft", &["list", "ruleset"]), "");
        assert!(!ip("-o link").contains("sandbar0"));
        ip("link del lan0");
        ip("link add sandbar0 type veth peer name lan1");
        assert_eq!(Bridge::default().ensure().unwrap_err().kind(), ErrorKind::InterfaceTaken);
    });
}

#[test]
fn a_pod_reaches_the_world_with_the_hosts_address() {
    on_a_node("a_pod_reaches_the_world_with_the_hosts_address", || {
        let bridge = bridge();
        let neighbour = neighbour();
        neighbour.serve(80, Protocol::Tcp);
        serve_on_host("0.0.0.0", 81);
        let web = pod(&bridge, "web", 2);
        let other = pod(&bridge, "other", 3);
        other.serve(80, Protocol::Tcp);
        assert_eq!(web.inside(|| tcp(NEIGHBOUR, 80)), Some(HOST.to_string()));
        let own = Some(pod_address(2).to_string());
        assert_eq!(web.inside(|| tcp(pod_address(3), 80)), own, "pod to pod");
        assert_eq!(web.inside(|| tcp(bridge.gateway(), 81)), own, "pod to host");
        assert_eq!(web.inside(|| tcp(HOST, 81)), own, "pod to the host's other address");
    });
}

#[test]
fn a_pod_has_what_it_needs_and_no_ipv6() {
    on_a_node("a_pod_has_what_it_needs_and_no_ipv6", || {
        let bridge = bridge();
        let web = Netns::new("web");
        let attached = attach_to(&bridge, web, 2).unwrap();
        let links = ip("-n web -o link");
        assert!(links.contains("eth0") && links.contains(&attached.mac.to_string()), "{links}");
        let addresses = ip("-n web -o addr");
        assert!(
            addresses.contains("10.84.0.2/16") && addresses.contains("127.0.0.1/8"),
            "{addresses}"
        );
        // Router advertisements would give a pod a default route of any neighbour's choice (CVE-2020-10749).
        assert!(!addresses.contains("fe80"), "{addresses}");
        assert!(!ip("-o addr show dev sandbar0").contains("fe80"));
        assert!(ip("-n web route").contains("default via 10.84.0.1 dev eth0"));
        let alone = Netns::new("alone");
        bring_up_loopback(alone.file().as_fd()).unwrap();
        assert!(ip("-n alone -o addr").contains("127.0.0.1/8"));
    });
}

#[test]
fn detaching_leaves_nothing() {
    on_a_node("detaching_leaves_nothing", || {
        let bridge = bridge();
        let before = (ip("-o link"), ip("-4 route show table all"));
        let web = pod(&bridge, "web", 2);
        detach(&interface(web)).unwrap();
        detach(&interface(web)).unwrap();
        // Whether a bridge without ports has a carrier depends on its past.
        let plain = |text: &str| {
            let carrier = ["NO-CARRIER,", ",LOWER_UP", " linkdown", " UP ", " DOWN ", " UNKNOWN "];
            carrier.iter().fold(text.to_owned(), |text, word| text.replace(word, ""))
        };
        assert_eq!(plain(&ip("-o link")), plain(&before.0));
        assert_eq!(plain(&ip("-4 route show table all")), plain(&before.1));
        assert!(!ip("-n web -o link").contains("eth0"));
        attach_to(&bridge, web, 2).unwrap();
    });
}

#[test]
fn a_failed_attach_leaves_nothing_and_harms_nobody() {
    on_a_node("a_failed_attach_leaves_nothing_and_harms_nobody", || {
        let missing = Netns::new("early");
        let error = attach_to(&Bridge::default(), missing, 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotReady);
        let bridge = bridge();
        let web = pod(&bridge, "web", 2);
        web.serve(80, Protocol::Tcp);
        let second = Netns::new("second");
        let error = attach(
            &bridge,
            second.file().as_fd(),
            &Attachment::new(interface(web), pod_address(3)),
        )
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InterfaceTaken);
        assert!(tcp(pod_address(2), 80).is_some(), "the first is unharmed");
        // `eth0` is taken in the pod.
        let busy = Netns::new("busy");
        ip("-n busy link add eth0 type veth peer name eth1");
        assert_eq!(attach_to(&bridge, busy, 4).unwrap_err().kind(), ErrorKind::InterfaceTaken);
        // The last step fails inside the pod: the default route is there.
        let routed = Netns::new("routed");
        ip("-n routed link add d0 type veth peer name d1");
        ip("-n routed link set d0 up");
        ip("-n routed route add default dev d0");
        assert!(attach_to(&bridge, routed, 5).is_err());
        let links = ip("-o link");
        assert!(!links.contains("sbbusy") && !links.contains("sbrouted"), "{links}");
        for address in [bridge.gateway(), HOST, Ipv4Addr::new(10, 84, 255, 255)] {
            let error = attach(
                &bridge,
                second.file().as_fd(),
                &Attachment::new(interface(second), address),
            )
            .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{address}");
        }
    });
}

/// CVE-2020-8558: services of 127.0.0.1 reached from a neighbour or a pod.
#[test]
fn nobody_else_reaches_the_hosts_loopback() {
    on_a_node("nobody_else_reaches_the_hosts_loopback", || {
        let bridge = bridge();
        let web = pod(&bridge, "web", 2);
        let neighbour = neighbour();
        serve_on_host("127.0.0.1", 9999);
        assert!(tcp(Ipv4Addr::LOCALHOST, 9999).is_some());
        for (netns, gateway) in [(web, bridge.gateway()), (neighbour, HOST)] {
            let name = netns.0;
            // Everything that its owner, root in there, could do to send such packets.
            ip(&format!("-n {name} addr flush dev lo"));
            ip(&format!("-n {name} route add 127.0.0.0/8 via {gateway} dev eth0"));
            netns.inside(|| fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").unwrap());
            assert!(netns.inside(|| tcp(Ipv4Addr::LOCALHOST, 9999)).is_none(), "{name}");
        }
        // That the pod would get there but for the rule proves that it tried.
        run("nft", &["flush", "chain", "inet", "sandbar", "prerouting_raw"]);
        assert!(web.inside(|| tcp(Ipv4Addr::LOCALHOST, 9999)).is_some());
    });
}

/// Only what is addressed to the host is translated; the rest is not ours.
#[test]
fn foreign_traffic_is_not_translated() {
    on_a_node("foreign_traffic_is_not_translated", || {
        let bridge = bridge();
        let web = pod(&bridge, "web", 2);
        let other = pod(&bridge, "other", 3);
        let neighbour = neighbour();
        web.serve(80, Protocol::Tcp);
        neighbour.serve(8080, Protocol::Tcp);
        publish(pod_address(2), &[port(8080, 80, Protocol::Tcp)]).unwrap();
        // 8080 of the neighbour, through the host: not the pod's.
        assert_eq!(other.inside(|| tcp(NEIGHBOUR, 8080)), Some(HOST.to_string()));
        unpublish(pod_address(2), &[port(8080, 80, Protocol::Tcp)]).unwrap();
    });
}

/// A first packet that is lost costs a second: the links carry from the moment that `attach` returns.
#[test]
fn a_pod_is_connected_at_once() {
    on_a_node("a_pod_is_connected_at_once", || {
        let bridge = bridge();
        serve_on_host("0.0.0.0", 81);
        for n in 2..32 {
            let web = Netns::new(format!("web{n}").leak());
            attach_to(&bridge, web, n).unwrap();
            let start = Instant::now();
            assert!(web.inside(|| tcp(bridge.gateway(), 81)).is_some());
            let took = start.elapsed();
            assert!(took.as_millis() < 500, "pod {n}: {took:?}");
        }
    });
}

#[test]
fn how_long_it_takes() {
    on_a_node("how_long_it_takes", || {
        let bridge = dual();
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open(dir.path()).unwrap();
        let pool = Pool::new(&bridge).unwrap();
        let mut times = [const { Vec::new() }; 6];
        for n in 0..30_u16 {
            let name: &'static str = format!("pod{n}").leak();
            let netns = Netns::new(name);
            let file = netns.file();
            let mut time = |which: usize, act: &mut dyn FnMut()| {
                let start = Instant::now();
                act();
                times[which].push(start.elapsed().as_micros());
            };
            let mut address = Ipv4Addr::UNSPECIFIED;
            let v6 = addresses(&bridge, u8::try_from(n).unwrap() + 2).v6;
            let ports = [port(8000 + n, 80, Protocol::Tcp)];
            time(0, &mut || drop(bridge.ensure().unwrap()));
            time(1, &mut || address = leases.acquire(name, &pool, Wanted::default()).unwrap().v4);
            time(2, &mut || {
                attach(
                    &bridge,
                    file.as_fd(),
                    &Attachment::new(interface(netns), PodAddresses { v4: address, v6 }),
                )
                .unwrap();
            });
            time(3, &mut || drop(publish(address, &ports).unwrap()));
            time(4, &mut || drop(unpublish(address, &ports).unwrap()));
            if n % 2 == 0 {
                time(5, &mut || detach(&interface(netns)).unwrap());
            }
        }
        for (name, mut times) in
            ["ensure", "acquire", "attach", "publish", "unpublish", "detach"].iter().zip(times)
        {
            times.sort_unstable();
            let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
            eprintln!("measured {name}: median {median} µs, at most {most} µs");
            assert!(median < 100_000, "{name}: {median} µs");
        }
    });
}
