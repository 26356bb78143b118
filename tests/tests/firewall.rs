//! Beside other firewalls: what they flush of ours is put back while its pod lives.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use sandbar_tests::{Node, SOON, get, tests, until};

tests! {
    what_a_reload_flushes_is_back_within_a_second,
    a_supervisor_that_took_over_puts_back_too,
    a_pod_without_ports_gets_its_way_out_back,
}

const SERVE: &str = "mkdir -p /srv; hostname >/srv/index.html; exec httpd -f -p 80 -h /srv";

fn nft(node: &Node, words: &[&str]) -> String {
    node.run("/usr/sbin/nft", words).ok()
}

/// A pod that serves its host name at a port of the node.
fn serves(node: &Node, name: &str, port: u16) {
    let run = format!("run -d --name {name} --hostname {name} -p {port}:80 busybox sh -c");
    node.says(&run).with([SERVE]).ok();
    until("that it serves", SOON, || is_served(port).then_some(()));
}

fn is_served(port: u16) -> bool {
    get(&format!("127.0.0.1:{port}"), "/").is_some_and(|answer| answer.body.starts_with("web"))
}

fn what_a_reload_flushes_is_back_within_a_second(node: &Node) {
    node.has_busybox();
    serves(node, "web1", 8081);
    serves(node, "web2", 8082);
    let before = nft(node, &["list", "table", "inet", "sandbar"]);
    // As often as somebody may do it: some of it falls into the time in which it is being put back.
    for _ in 0..5 {
        nft(node, &["flush", "ruleset"]);
        let flushed = Instant::now();
        until("both ports", SOON, || (is_served(8081) && is_served(8082)).then_some(()));
        let took = flushed.elapsed();
        println!("back after {took:?}");
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
    // Of a part of it, too.
    nft(node, &["flush", "chain", "inet", "sandbar", "forward"]);
    until("all that there was", SOON, || {
        let now = nft(node, &["list", "table", "inet", "sandbar"]);
        (sorted(&now) == sorted(&before)).then_some(())
    });
    node.says("rm -f web1 web2").ok();
}

fn sorted(listing: &str) -> Vec<char> {
    // Elements of sets are listed in the order of their hashes.
    let mut all: Vec<char> = listing.chars().filter(|it| !it.is_whitespace()).collect();
    all.sort_unstable();
    all
}

fn a_supervisor_that_took_over_puts_back_too(node: &Node) {
    node.has_busybox();
    serves(node, "web", 8081);
    node.supervisor("web").signal(Signal::KILL);
    nft(node, &["flush", "ruleset"]);
    assert!(!is_served(8081), "nobody is there to put anything back");
    node.says("exec web true").ok();
    until("the port", SOON, || is_served(8081).then_some(()));
    nft(node, &["flush", "ruleset"]);
    until("the port again", SOON, || is_served(8081).then_some(()));
    node.says("rm -f web").ok();
}

fn a_pod_without_ports_gets_its_way_out_back(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a busybox sleep 1000").ok();
    nft(node, &["delete", "table", "inet", "sandbar"]);
    until("the rules", SOON, || {
        nft(node, &["list", "ruleset"]).contains("masquerade").then_some(())
    });
    node.says("rm -f a").ok();
}
