//! Beside other firewalls: what they flush of ours is put back while its pod lives.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sandbar_tests::{HOST, Machine, NEIGHBOUR, Node, SOON, get, tests, until};

tests! {
    what_a_reload_flushes_is_back_within_a_second,
    what_is_flushed_just_before_keeps_no_port_from_being_published,
    a_supervisor_that_took_over_puts_back_too,
    what_a_supervisor_needed_for_it_is_given_back,
    a_pod_without_ports_gets_its_way_out_back,
    an_older_listing_that_is_loaded_leads_no_port_elsewhere,
    a_sysctl_reload_takes_no_pod_offline,
    a_route_that_came_later_keeps_nothing_open,
    ports_of_a_pod_are_published_when_it_is_put_on_a_network,
    docker_that_starts_after_a_pod_drops_nothing_of_it [IptablesNft],
    a_firewall_that_drops_what_is_forwarded_is_told [IptablesNft],
    what_others_put_into_the_table_does_not_stay,
    thousands_of_ports_are_put_back,
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

/// However much there is of others' to look through. (docs/design/0002-supervisor-memory.md.)
fn what_a_supervisor_needed_for_it_is_given_back(node: &Node) {
    /// KiB of its heap. (What else is its own does not depend on what it does.)
    const MOST: u32 = 64;
    node.has_busybox();
    node.says("network create one").ok();
    serves(node, "web", 8081);
    node.says("run -d --name many -p 20000-21999:20000-21999 busybox sleep 1000").ok();
    node.says("network connect one web").ok();
    let smaps = node.supervisor("web").proc("smaps");
    let heap = || {
        let text = fs::read_to_string(&smaps).expect("its memory");
        let after = text.split_once("[heap]")?.1;
        let line = after.lines().find_map(|line| line.strip_prefix("Private_Dirty:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u32>().ok()
    };
    for _ in 0..3 {
        nft(node, &["flush", "ruleset"]);
        until("both ports", SOON, || is_served(8081).then_some(()));
        until("a small heap", SOON, || heap().filter(|heap| *heap <= MOST));
    }
    node.says("rm -f web many").ok();
    node.says("network rm one").ok();
}

fn sorted(listing: &str) -> Vec<char> {
    // Elements of sets are listed in the order of their hashes.
    let mut all: Vec<char> = listing.chars().filter(|it| !it.is_whitespace()).collect();
    all.sort_unstable();
    all
}

/// Each command comes before a supervisor has had the time to put anything back.
fn what_is_flushed_just_before_keeps_no_port_from_being_published(node: &Node) {
    node.has_busybox();
    node.says("network create lan").ok();
    node.says("network create more").ok();
    node.says("run -d --name web1 --network lan --network more busybox sleep 1000").ok();
    for _ in 0..20 {
        nft(node, &["flush", "ruleset"]);
        node.says("port add web1 8081:80 9001-9100:1-100/udp").ok();
        nft(node, &["flush", "ruleset"]);
        node.says("port rm web1 8081:80 9001-9100:1-100/udp").ok();
    }
    node.says("rm -f web1").ok();
    node.says("network prune").ok();
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

fn a_sysctl_reload_takes_no_pod_offline(node: &Node) {
    node.has_busybox();
    let forwarding = Path::new("/proc/sys/net/ipv4/ip_forward");
    let told = || {
        let info = node.says("info --format json").ok();
        let info: serde_json::Value = serde_json::from_str(&info).unwrap();
        info["Networks"]["sandbar"]["HostSettings"]["net.ipv4.ip_forward"].to_string()
    };
    serves(node, "web", 8081);
    for _ in 0..5 {
        fs::write(forwarding, "0").unwrap();
        until("forwarding", SOON, || fs::read(forwarding).unwrap().starts_with(b"1").then_some(()));
    }
    assert_eq!(told(), "\"1\"");
    node.says("rm -f web").ok();
    // Of no pod's need, it stays off; and that it was on is not told as if it were.
    fs::write(forwarding, "0").unwrap();
    assert!(told().starts_with("\"0 (was set to 1, and has been changed since: "), "{}", told());
    serves(node, "web", 8081);
    assert_eq!(told(), "\"1\"");
    node.says("rm -f web").ok();
}

fn an_older_listing_that_is_loaded_leads_no_port_elsewhere(node: &Node) {
    node.has_busybox();
    node.says("run -d --name old --ip 10.84.7.7 -p 8081:80 busybox sleep 1000").ok();
    let listing = format!("flush ruleset\n{}", nft(node, &["list", "ruleset"]));
    let file = node.file("listing", listing);
    node.says("rm -f old").ok();
    // The address is another pod's by now, which publishes nothing, and the port a third one's.
    let serve = "mkdir -p /srv; echo secret >/srv/index.html; exec httpd -f -p 80 -h /srv";
    node.says("run -d --name closed --ip 10.84.7.7 busybox sh -c").with([serve]).ok();
    serves(node, "web", 8081);
    node.run("/usr/sbin/nft", ["-f"]).with([&file]).ok();
    until("the port of its own pod", SOON, || is_served(8081).then_some(()));
    node.says("rm -f web").ok();
    node.run("/usr/sbin/nft", ["-f"]).with([&file]).ok();
    until("that the port leads nowhere", SOON, || {
        let listed = nft(node, &["list", "map", "inet", "sandbar", "published"]);
        (!listed.contains("8081")).then_some(())
    });
    assert!(get("127.0.0.1:8081", "/").is_none());
    node.says("rm -f closed").ok();
}

fn a_route_that_came_later_keeps_nothing_open(node: &Node) {
    node.has_busybox();
    serves(node, "web", 8081);
    // As a VPN may bring one: it holds the pods' subnet.
    node.run("/bin/busybox", ["ip", "route", "add", "10.0.0.0/8", "dev", "lo"]).ok();
    nft(node, &["flush", "ruleset"]);
    until("the rules and the port", SOON, || {
        let listed = nft(node, &["list", "ruleset"]);
        (listed.contains("drop") && is_served(8081)).then_some(())
    });
    node.says("rm -f web").ok();
}

fn ports_of_a_pod_are_published_when_it_is_put_on_a_network(node: &Node) {
    node.has_busybox();
    node.says("network create lan").ok();
    serves(node, "web", 8081);
    node.says("port rm web 8081:80").ok();
    node.says("network disconnect sandbar web").ok();
    node.says("port add web 8081:80").ok();
    node.says("network connect lan web").ok();
    until("the port", SOON, || is_served(8081).then_some(()));
    node.says("rm -f web").ok();
    node.says("network rm lan").ok();
}

/// What Docker does first when it starts.
fn docker_starts(node: &Node) {
    for program in ["iptables-nft", "ip6tables-nft"] {
        for line in ["-P FORWARD DROP", "-N DOCKER-USER", "-A FORWARD -j DOCKER-USER"] {
            node.run(format!("/usr/sbin/{program}"), line.split(' ')).ok();
        }
    }
}

fn docker_that_starts_after_a_pod_drops_nothing_of_it(node: &Node) {
    node.has_busybox();
    node.says("run -d --name web -p 8081:80 busybox sleep 1000").ok();
    let web = Machine::of(node, "web");
    web.serve("::", 80);
    let neighbour = Machine::neighbour(node, "web");
    neighbour.serve("::", 80);
    docker_starts(node);
    for (host, world) in HOST.iter().zip(NEIGHBOUR) {
        until("that Docker lets it through", SOON, || neighbour.ask(host, 8081).map(drop));
        assert_eq!(web.ask(world, 80), Some(format!("{} {host}", neighbour.name)));
    }
    let own = node.address("web");
    assert_eq!(neighbour.answering(&[&own], &[80]), [""; 0], "what is not published");
    let listed = || node.run("/usr/sbin/iptables-nft", ["-S", "DOCKER-USER"]).ok();
    assert!(listed().contains("-A DOCKER-USER -i sandbar0 -j ACCEPT"), "{}", listed());
    // A pod of another network that comes after Docker, and goes with its network.
    node.says("network create --interface-name lan9 lan").ok();
    node.says("run -d --name shop --network lan -p 8082:80 busybox sleep 1000").ok();
    Machine::of(node, "shop").serve("::", 80);
    assert!(neighbour.ask(HOST[0], 8082).is_some());
    assert!(listed().contains("-o lan9 -j ACCEPT"), "{}", listed());
    node.says("rm -f web shop").ok();
    node.says("network rm lan").ok();
    assert!(!listed().contains("lan9"), "{}", listed());
}

fn a_firewall_that_drops_what_is_forwarded_is_told(node: &Node) {
    assert!(!node.says("info").ok().contains("FORWARD"));
    node.run("/usr/sbin/iptables-nft", ["-P", "FORWARD", "DROP"]).ok();
    let told = node.says("info").ok();
    assert!(told.contains("ip filter FORWARD drops"), "{told}");
    docker_starts(node);
    assert!(!node.says("info").ok().contains("FORWARD"), "it has a chain for ours");
}

fn what_others_put_into_the_table_does_not_stay(node: &Node) {
    node.has_busybox();
    serves(node, "web", 8081);
    let before = nft(node, &["list", "table", "inet", "sandbar"]);
    for change in [
        "insert rule inet sandbar prerouting_raw accept",
        "add chain inet sandbar forward { policy drop; }",
        "add table inet sandbar { flags dormant; }",
    ] {
        nft(node, &[change]);
        until("the table as it was", SOON, || {
            let now = nft(node, &["list", "table", "inet", "sandbar"]);
            (sorted(&now) == sorted(&before)).then_some(())
        });
        assert!(is_served(8081), "{change}");
    }
    node.says("rm -f web").ok();
}

fn thousands_of_ports_are_put_back(node: &Node) {
    node.has_busybox();
    let run =
        "run -d --name web --hostname web -p 20000-24999:20000-24999 -p 8081:80 busybox sh -c";
    node.says(run).with([SERVE]).ok();
    until("that it serves", SOON, || is_served(8081).then_some(()));
    let published = || nft(node, &["list", "map", "inet", "sandbar", "published"]);
    let before = sorted(&published());
    nft(node, &["flush", "map", "inet", "sandbar", "published"]);
    until("all of them", SOON, || (sorted(&published()) == before).then_some(()));
    node.says("exec web true").ok();
    node.says("rm -f web").ok();
}
