//! What others do to the firewall.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips"
)]

mod node;

use std::{fs, net::Ipv4Addr};

use node::{addresses, bridge, on_a_node, pod, pod_address, port, run, tcp};
use sandbar_network::{
    Bridge, Protocol, PublishedPort, Watch, publish, put_back, unpublish, unpublish_address,
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
