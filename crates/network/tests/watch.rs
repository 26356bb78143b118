//! What others do to the firewall.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips"
)]

mod node;

use std::{fs, net::Ipv4Addr};

use node::{addresses, bridge, dual, interface, ip, on_a_node, pod, pod_address, port, run, tcp};
use sandbar_network::{
    Access, Bridge, HostWatch, Protocol, PublishedPort, Watch, is_plugged, plug, publish, put_back,
    unpublish, unpublish_address,
};

/// The name that this test's own changes are made under, as the program's are under `sandbar`.
fn become_sandbar() {
    fs::write("/proc/thread-self/comm", "sandbar-test").unwrap();
}

fn ports(count: u16) -> Vec<PublishedPort> {
    (0..count).map(|n| port(10_000 + n, 80, Protocol::Tcp)).collect()
}

#[test]
fn what_others_remove_is_told_and_put_back() {
    on_a_node("what_others_remove_is_told_and_put_back", || {
        become_sandbar();
        let mut watch = Watch::open("sandbar").unwrap();
        let bridge = bridge();
        pod(&bridge, "web", 2).serve(80, Protocol::Tcp);
        let ports = [port(8080, 80, Protocol::Tcp)];
        publish(pod_address(2), &ports).unwrap();
        for removal in [
            "flush ruleset",
            "delete table inet sandbar",
            "flush chain inet sandbar prerouting",
            "flush map inet sandbar published",
            "delete element inet sandbar published { tcp . 8080 }",
        ] {
            assert!(!watch.look().unwrap(), "before {removal}");
            run("nft", &[removal]);
            assert!(watch.look().unwrap(), "{removal}");
            assert!(!watch.look().unwrap(), "{removal}, once");
            put_back(std::slice::from_ref(&bridge), pod_address(2), &ports).unwrap();
            assert!(tcp(Ipv4Addr::LOCALHOST, 8080).is_some(), "{removal}");
        }
    });
}

/// Whatever it was, the listing is the same again afterwards, with the ports of all pods.
#[test]
fn what_others_change_is_told_and_put_back() {
    on_a_node("what_others_change_is_told_and_put_back", || {
        become_sandbar();
        let mut watch = Watch::open("sandbar").unwrap();
        let bridge = dual();
        let ports = [port(8080, 80, Protocol::Tcp)];
        let to = addresses(&bridge, 2);
        publish(to, &ports).unwrap();
        publish(addresses(&bridge, 3), &self::ports(50)).unwrap();
        let before = listing();
        let rewritten = listing().replace("oifname @bridges drop", "oifname @bridges accept");
        fs::write("/run/rewritten", format!("delete table inet sandbar\n{rewritten}")).unwrap();
        for change in [
            "insert rule inet sandbar forward accept",
            "add rule inet sandbar postrouting ip protocol { tcp, udp } counter",
            "replace rule inet sandbar forward handle DROP accept",
            "delete rule inet sandbar prerouting handle JUMP; \
             add rule inet sandbar prerouting jump published_ports",
            "add chain inet sandbar forward { policy drop; }",
            "add table inet sandbar { flags dormant; }",
            "add table inet sandbar { flags dormant; }; add rule inet sandbar forward accept",
            "add chain inet sandbar gate { type filter hook input priority -5; policy drop; }",
            "add chain inet sandbar a; add map inet sandbar b { type inet_service : verdict; elements = { 1 : jump a }; }; \
             insert rule inet sandbar forward tcp dport vmap @b",
            "flush chain inet sandbar output; delete chain inet sandbar output; \
             add chain inet sandbar output { type nat hook output priority 5; }",
            "flush chain inet sandbar forward; delete chain inet sandbar forward; add chain inet sandbar forward",
            "include \"/run/rewritten\"",
        ] {
            assert!(!watch.look().unwrap(), "before {change}");
            let handles = [
                ("DROP", handle("forward", "oifname @bridges drop")),
                ("JUMP", handle("prerouting", "jump published_ports")),
            ];
            let filled = handles.iter().fold(change.to_owned(), |it, (of, is)| it.replace(of, is));
            run("nft", &[&filled]);
            assert!(watch.look().unwrap(), "{change}");
            assert_ne!(listing(), before, "{change}");
            put_back(std::slice::from_ref(&bridge), to, &ports).unwrap();
            assert_eq!(listing(), before, "{change}");
        }
    });
}

/// Where all is as it should be nothing is written, so nobody wakes another.
#[test]
fn putting_back_what_is_there_changes_nothing() {
    on_a_node("putting_back_what_is_there_changes_nothing", || {
        let bridge = dual();
        let to = addresses(&bridge, 2);
        publish(to, &ports(3)).unwrap();
        // Told, for this is not by a program whose name begins so.
        let mut watch = Watch::open("another").unwrap();
        bridge.ensure().unwrap();
        put_back(std::slice::from_ref(&bridge), to, &[]).unwrap();
        assert!(watch.look().unwrap(), "its ports went");
        put_back(std::slice::from_ref(&bridge), to, &[]).unwrap();
        assert!(!watch.look().unwrap());
    });
}

/// The table, each set's elements in one order.
fn listing() -> String {
    let text = run("nft", &["list", "table", "inet", "sandbar"]);
    let mut sorted = String::new();
    for set in text.split("elements = {").enumerate() {
        let (elements, rest) = match set {
            (0, rest) => ("", rest),
            (_, rest) => rest.split_once('}').unwrap(),
        };
        let mut elements: Vec<_> = elements.split(',').map(str::trim).collect();
        elements.sort_unstable();
        if set.0 > 0 {
            sorted += &format!("elements = {{ {} }}", elements.join(", "));
        }
        sorted += rest;
    }
    // A chain that was made anew is listed last.
    let mut chains: Vec<_> = sorted.split("\n\n").map(|it| it.trim_matches(['\n', '}'])).collect();
    let head = chains.remove(0).to_owned();
    let is_chain = |it: &&str| it.trim_start().starts_with("chain");
    let (mut of_chains, of_sets): (Vec<_>, Vec<_>) = chains.into_iter().partition(is_chain);
    of_chains.sort_unstable();
    [vec![head.as_str()], of_sets, of_chains].concat().join("\n}\n") + "\n}\n}\n"
}

/// The number of a chain's rule.
fn handle(chain: &str, rule: &str) -> String {
    let listed = run("nft", &["--handle", "list", "chain", "inet", "sandbar", chain]);
    let line = listed.lines().find(|line| line.contains(rule)).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn what_is_not_ours_or_by_us_is_not_told() {
    on_a_node("what_is_not_ours_or_by_us_is_not_told", || {
        become_sandbar();
        let bridge = bridge();
        let mut watch = Watch::open("sandbar").unwrap();
        publish(pod_address(2), &ports(10)).unwrap();
        unpublish(pod_address(2), &ports(5)).unwrap();
        unpublish_address(pod_address(2)).unwrap();
        let other = Bridge::new("other".parse().unwrap(), "10.85.0.0/24".parse().unwrap());
        other.ensure().unwrap();
        other.remove().unwrap();
        bridge.ensure().unwrap();
        run(
            "nft",
            &["add table inet theirs; add chain inet theirs sandbar; delete table inet theirs"],
        );
        run("nft", &["add table ip sandbar; delete table ip sandbar"]);
        assert!(!watch.look().unwrap());
        for change in [
            "add element inet sandbar published { udp . 9 : 10.84.0.9 . 9 }",
            "delete element inet sandbar published { udp . 9 }",
        ] {
            run("nft", &[change]);
            assert!(watch.look().unwrap(), "{change}");
        }
    });
}

/// A storm is read in a few calls, and what no longer fits counts as a removal.
#[test]
fn a_storm_is_cheap_and_loses_no_removal() {
    on_a_node("a_storm_is_cheap_and_loses_no_removal", || {
        let bridge = bridge();
        let mut watch = Watch::open("sandbar").unwrap();
        let to = addresses(&bridge, 2);
        for _ in 0..5 {
            publish(to, &ports(2000)).unwrap();
            unpublish_address(to).unwrap();
        }
        let mut calls = 0;
        let mut is_removed = false;
        loop {
            let before = is_removed;
            is_removed |= watch.look().unwrap();
            calls += 1;
            if before == is_removed && calls > 1 {
                break;
            }
        }
        assert!(is_removed);
        assert!(calls <= 10, "{calls}");
    });
}

#[test]
fn that_forwarding_is_turned_off_is_told_once_and_put_back() {
    on_a_node("that_forwarding_is_turned_off_is_told_once_and_put_back", || {
        let mut watch = HostWatch::open().unwrap();
        let bridge = dual();
        let internal = Bridge::new("inner".parse().unwrap(), "10.85.0.0/24".parse().unwrap())
            .with_access(Access::Internal);
        internal.ensure().unwrap();
        let is_on =
            |name: &str| fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap() == "1\n";
        let switches = ["ipv4/ip_forward", "ipv4/conf/all/forwarding", "ipv6/conf/all/forwarding"];
        for off in switches {
            assert!(!watch.look().unwrap() && bridge.is_served(), "before {off}");
            fs::write(format!("/proc/sys/net/{off}"), "0").unwrap();
            // As many as come meanwhile.
            ip("link add dev one type veth peer name other");
            ip("link delete one");
            assert!(watch.look().unwrap(), "{off}");
            assert!(!watch.look().unwrap(), "{off}, once");
            assert!(!bridge.is_served() && internal.is_served(), "{off}");
            put_back(std::slice::from_ref(&internal), pod_address(2), &[]).unwrap();
            assert!(!bridge.is_served(), "{off}: an internal network needs none");
            put_back(std::slice::from_ref(&bridge), pod_address(2), &[]).unwrap();
            assert!(bridge.is_served() && switches.into_iter().all(is_on), "{off}");
            assert!(is_on("ipv4/conf/sandbar0/forwarding"), "{off}");
            assert!(is_on("ipv6/conf/sandbar0/forwarding"), "{off}");
        }
        // Of one whose own is on already, as it is for a moment after the kernel has told.
        fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        fs::write("/proc/sys/net/ipv4/conf/sandbar0/forwarding", "1").unwrap();
        put_back(std::slice::from_ref(&bridge), pod_address(2), &[]).unwrap();
        assert!(is_on("ipv4/ip_forward"));
    });
}

#[test]
fn the_end_of_a_bridge_is_told_and_no_other_interfaces() {
    on_a_node("the_end_of_a_bridge_is_told_and_no_other_interfaces", || {
        let mut watch = HostWatch::open().unwrap();
        let bridge = bridge();
        let plugged = interface(pod(&bridge, "web", 2));
        assert!(is_plugged(&bridge, &plugged).unwrap());
        for change in [
            "link add dev one type veth peer name other",
            "link set one master sandbar0",
            "link set one down",
            "link set one nomaster",
            "link delete one",
            "link set sandbar0 down",
            "link set sandbar0 up",
        ] {
            ip(change);
            assert!(!watch.look().unwrap(), "{change}");
        }
        ip("link delete sandbar0");
        assert!(watch.look().unwrap());
        assert!(!watch.look().unwrap(), "once");
        assert!(!is_plugged(&bridge, &plugged).unwrap());
        put_back(std::slice::from_ref(&bridge), pod_address(2), &[]).unwrap();
        assert!(plug(&bridge, &plugged).unwrap());
        assert!(!watch.look().unwrap() && is_plugged(&bridge, &plugged).unwrap());
    });
}
