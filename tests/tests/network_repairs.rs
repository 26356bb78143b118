//! Networks that somebody broke, or whose changes were cut short; and which of a pod's networks leads to the world.

use rustix::process::Signal;
use sandbar_tests::{Node, SOON, get, tests, until};

tests! {
    pods_are_back_on_a_bridge_that_somebody_deleted,
    a_supervisor_puts_its_pod_back_on_a_bridge,
    the_first_network_that_is_not_internal_leads_to_the_world,
    ports_and_the_way_out_move_when_their_network_goes,
    ports_that_have_moved_are_reached_from_all_networks_of_the_pod,
    a_pod_of_internal_networks_alone_publishes_nothing,
    a_connecting_that_was_cut_short_is_finished_by_the_same,
    two_interfaces_of_one_network_have_no_hardware_address_in_common,
    one_broken_network_hides_no_other,
    a_network_with_a_broken_record_is_removed_by_force,
    what_is_no_range_for_pods_is_refused,
}

const SERVE: &str = "mkdir -p /srv; echo web >/srv/index.html; exec httpd -f -p 80 -h /srv";

fn serves(node: &Node, name: &str, options: &str) {
    node.says(&format!("run -d --cap-add NET_RAW --name {name} {options} busybox sh -c"))
        .with([SERVE])
        .ok();
}

fn is_served(port: u16) -> bool {
    get(&format!("127.0.0.1:{port}"), "/").is_some_and(|answer| answer.body.starts_with("web"))
}

fn ip(node: &Node, line: &str) -> String {
    node.run("ip", line.split(' ')).ok()
}

fn exec(node: &Node, container: &str, script: &str) -> String {
    node.sandbar(["exec", container, "sh", "-c", script]).ok()
}

fn on(node: &Node, container: &str, network: &str) -> String {
    let settings = &node.inspect(container)["NetworkSettings"]["Networks"][network]["IPAddress"];
    settings.as_str().unwrap_or_default().to_owned()
}

/// The host's end of the pod's interface on this bridge.
fn host_end(node: &Node, bridge: &str) -> String {
    let listed = ip(node, &format!("-o link show master {bridge}"));
    let name = listed.split(": ").nth(1).and_then(|name| name.split('@').next());
    name.expect("an interface").to_owned()
}

/// Deletes a bridge, runs a command, and returns what it says, before the supervisors of these pods see to it.
fn told_without(node: &Node, bridge: &str, pods: &[&str], line: &str) -> String {
    let supervisors: Vec<_> = pods.iter().map(|pod| node.supervisor(pod)).collect();
    supervisors.iter().for_each(|it| it.signal(Signal::STOP));
    ip(node, &format!("link delete {bridge}"));
    let told = node.says(line).run();
    supervisors.iter().for_each(|it| it.signal(Signal::CONT));
    assert_eq!(told.exit_code(), 0, "{told}");
    told.stderr()
}

fn pods_are_back_on_a_bridge_that_somebody_deleted(node: &Node) {
    node.has_busybox();
    node.says("network create --interface-name br-one one").ok();
    serves(node, "a", "--network one");
    serves(node, "b", "--network sandbar --network one -p 8081:80");
    let (a, b) = (on(node, "a", "one"), on(node, "b", "one"));
    let reach = |from: &str, to: &str| exec(node, from, &format!("ping -c 1 -W 2 {to}"));
    // By the next pod that starts, by the next that is put on it, and by one that is on it already.
    for line in ["run -d --name c --network one busybox true", "network connect one d"] {
        if line.starts_with("network") {
            node.says("run -d --name d busybox sleep 1000").ok();
        }
        let told = told_without(node, "br-one", &["a", "b"], line);
        for word in ["note:", "br-one", "'one'", "'a'", "'b'"] {
            assert!(told.contains(word), "{word}: {told}");
        }
        reach("a", &b);
        reach("b", &a);
        reach("a", "10.85.0.1");
    }
    assert!(ip(node, "-d link show master br-one").contains("hairpin on"));
    let told = told_without(node, "br-one", &["a", "b", "d"], "network connect one a");
    assert!(told.contains("'b'"), "{told}");
    reach("a", &b);
    node.says("network connect one a").refused(1, &["already", "one"]);
    // The one that is always there, by a pod's start.
    assert!(node.says("pod create --name p").ok().contains('\n'));
    let told = told_without(node, "sandbar0", &["b", "d"], "pod start p");
    assert!(told.contains("sandbar0"), "{told}");
    until("the port", SOON, || is_served(8081).then_some(()));
    node.says("pod rm -f p").ok();
    node.says("rm -f a b c d").ok();
    node.says("network rm one").ok();
}

fn a_supervisor_puts_its_pod_back_on_a_bridge(node: &Node) {
    node.has_busybox();
    serves(node, "a", "-p 8081:80");
    until("that it serves", SOON, || is_served(8081).then_some(()));
    // Another bridge's end is no concern of its.
    ip(node, "link add dev other type bridge");
    ip(node, "link delete other");
    for _ in 0..2 {
        ip(node, "link delete sandbar0");
        until("the port", SOON, || is_served(8081).then_some(()));
    }
    ip(node, "link delete sandbar0");
    node.run("/usr/sbin/nft", ["flush", "ruleset"]).ok();
    until("the port", SOON, || is_served(8081).then_some(()));
    node.says("rm -f a").ok();
}

fn the_first_network_that_is_not_internal_leads_to_the_world(node: &Node) {
    node.has_busybox();
    node.says("network create --internal inner").ok();
    node.says("network create outer").ok();
    serves(node, "a", "--network inner --network outer -p 8081:80");
    until("the port", SOON, || is_served(8081).then_some(()));
    assert!(exec(node, "a", "ip route").contains("default via 10.85.1.1 dev eth1"));
    assert_eq!(node.address("a"), on(node, "a", "outer"));
    // Of internal ones alone none does; and the next that is not does at once.
    serves(node, "b", "--network inner");
    let routes = exec(node, "b", "ip route");
    assert!(!routes.contains("default"), "{routes}");
    exec(node, "b", "ping -c 1 -W 2 10.85.0.1");
    node.says("network connect outer b").ok();
    assert!(exec(node, "b", "ip route").contains("default via 10.85.1.1 dev eth1"));
    node.says("port add b 8082:80").ok();
    until("the port", SOON, || is_served(8082).then_some(()));
    node.says("rm -f a b").ok();
    node.says("network rm inner outer").ok();
}

fn ports_and_the_way_out_move_when_their_network_goes(node: &Node) {
    node.has_busybox();
    node.says("network create --ipv6 one").ok();
    node.says("network create --internal inner").ok();
    node.says("network create two").ok();
    serves(node, "a", "--network one --network inner --network two -p 8081:80");
    until("the port", SOON, || is_served(8081).then_some(()));
    let interface = exec(node, "a", "cat /sys/class/net/eth2/ifindex");
    node.says("network disconnect one a").ok();
    until("the port", SOON, || is_served(8081).then_some(()));
    let routes = exec(node, "a", "ip route; ip -6 route");
    assert!(routes.contains("default via 10.85.2.1 dev eth2"), "{routes}");
    assert_eq!(routes.matches("default").count(), 1, "{routes}");
    assert_eq!(exec(node, "a", "cat /sys/class/net/eth2/ifindex"), interface, "it stayed");
    // Nothing else could have the ports.
    let refused = node.says("network disconnect two a");
    refused.refused(1, &["'a'", "'two'", "ports", "port rm"]);
    until("the port", SOON, || is_served(8081).then_some(()));
    node.says("network connect one a").ok();
    assert!(exec(node, "a", "ip route").contains("default via 10.85.2.1 dev eth2"));
    // One that does not run has it so when it starts.
    node.says("stop -t 0 a").ok();
    node.says("network disconnect two a").ok();
    node.says("start a").ok();
    until("the port", SOON, || is_served(8081).then_some(()));
    let routes = exec(node, "a", "ip route; ip -6 route");
    assert!(routes.contains("default via 10.85.0.1 dev eth0"), "{routes}");
    assert_eq!(routes.matches("default").count(), 2, "{routes}");
    node.says("rm -f a").ok();
    let left = node.run("/usr/sbin/nft", ["list", "table", "inet", "sandbar"]).ok();
    assert!(!left.contains("8081"), "{left}");
    node.says("network rm one inner two").ok();
    let left = node.run("/usr/sbin/nft", ["list", "table", "inet", "sandbar"]).ok();
    assert!(!left.contains("10.85."), "{left}");
}

fn ports_that_have_moved_are_reached_from_all_networks_of_the_pod(node: &Node) {
    node.has_busybox();
    // Where bridges call netfilter, an answer past the host is translated back all the same.
    for family in ["ip", "ip6"] {
        let setting = format!("/proc/sys/net/bridge/bridge-nf-call-{family}tables");
        let _kept = std::fs::write(setting, "0");
    }
    for network in ["one", "two", "three"] {
        node.says(&format!("network create {network}")).ok();
        node.says(&format!("run -d --name in-{network} --network {network} busybox sleep 1000"))
            .ok();
    }
    serves(node, "a", "--network one --network two --network three");
    node.says("network disconnect one a").ok();
    node.says("port add a 8081:80").ok();
    until("the port", SOON, || is_served(8081).then_some(()));
    let host = "wget -q -O- http://10.85.0.1:8081/";
    for gone in ["one", "two"] {
        for client in ["in-one", "in-two", "in-three"] {
            assert!(!exec(node, client, &format!("timeout 5 {host}")).is_empty(), "{client}");
        }
        if gone == "one" {
            node.says("network connect one a").ok();
            node.says("network disconnect two a").ok();
        }
    }
    node.says("rm -f a in-one in-two in-three").ok();
    node.says("network prune").ok();
}

fn a_pod_of_internal_networks_alone_publishes_nothing(node: &Node) {
    node.has_busybox();
    node.says("network create --internal one").ok();
    node.says("network create --internal two").ok();
    let words = ["internal", "'one'", "'two'"];
    node.says("run -p 8081:80 --network one --network two busybox true").refused(125, &words);
    node.says("pod create -p 8081:80 --network one --network two").refused(1, &words);
    node.says("pod create --name p --network one --network two").ok();
    node.says("port add p 8081:80").refused(1, &words);
    assert_eq!(node.says("pod ps -aq").ok().lines().count(), 1);
    // Nor does one with ports come to be on none but such.
    node.says("pod create --name q").ok();
    node.says("network disconnect sandbar q").ok();
    node.says("port add q 8081:80").ok();
    node.says("network connect one q").refused(1, &["internal", "'one'"]);
    node.says("network connect sandbar q").ok();
    node.says("network connect one q").ok();
    node.says("network disconnect sandbar q").refused(1, &["ports"]);
    node.says("pod rm p q").ok();
    node.says("network rm one two").ok();
}

fn a_connecting_that_was_cut_short_is_finished_by_the_same(node: &Node) {
    node.has_busybox();
    node.says("network create --interface-name br-one one").ok();
    serves(node, "a", "");
    node.says("network connect --alias db one a").ok();
    // As a kill leaves it: on record, but without an interface; or with one, but without a name.
    ip(node, &format!("link delete {}", host_end(node, "br-one")));
    node.says("network connect one a").refused(1, &["already"]);
    node.says("network connect --alias db one a").ok();
    exec(node, "a", "ping -c 1 -W 2 10.85.0.1");
    exec(node, "a", "ping -c 1 -W 2 db.one");
    node.says("network connect --alias db one a").refused(1, &["already", "one"]);
    ip(node, &format!("link set {} down", host_end(node, "br-one")));
    node.says("network connect --alias db one a").ok();
    exec(node, "a", "ping -c 1 -W 2 10.85.0.1");
    node.says("network disconnect one a").ok();
    node.says("network disconnect one a").refused(1, &["not on", "network inspect"]);
    node.says("network rm one").ok();
    node.says("rm -f a").ok();
}

fn two_interfaces_of_one_network_have_no_hardware_address_in_common(node: &Node) {
    node.has_busybox();
    node.says("network create --interface-name br-one one").ok();
    node.says("create --name a --network one --mac-address 02:00:00:00:00:09 busybox true").ok();
    let refused = |mac: &str, words: &[&str]| {
        let line = format!("create --network one --mac-address {mac} busybox true");
        node.says(&line).refused(125, words);
    };
    refused("02:00:00:00:00:09", &["02:00:00:00:00:09", "pod 'a'"]);
    refused("02:53:0a:55:00:01", &["bridge 'br-one'"]);
    refused("02:53:0A:55:00:07", &["02:53:0a:55:00:07", "10.85.0.7"]);
    refused("01:00:5e:00:00:01", &["01:00:5e:00:00:01", "single interface"]);
    refused("00:00:00:00:00:00", &["00:00:00:00:00:00", "single interface"]);
    node.says("create --name b busybox true").ok();
    node.says("network connect --mac-address 02:00:00:00:00:09 one b").refused(1, &["pod 'a'"]);
    let own = "create --name c --network one --ip 10.85.0.7 --mac-address 02:53:0a:55:00:07";
    node.says(own).with(["busybox", "true"]).ok();
    // Elsewhere it is free; and of many that ask at once, one gets it.
    node.says("create --name d --mac-address 02:00:00:00:00:09 busybox true").ok();
    node.says("rm a b c d").ok();
    let line = "create --network one --mac-address 02:00:00:00:00:09 busybox true";
    let made = std::thread::scope(|scope| {
        let all: Vec<_> =
            (0..8).map(|_| scope.spawn(|| node.says(line).run().exit_code() == 0)).collect();
        all.into_iter().filter_map(|it| it.join().ok()).filter(|made| *made).count()
    });
    assert_eq!(made, 1);
    node.says("network rm -f one").ok();
    assert_eq!(node.says("pod ps -aq").ok(), "");
}

fn one_broken_network_hides_no_other(node: &Node) {
    node.has_busybox();
    node.says("network create --interface-name br-one one").ok();
    node.says("network create two").ok();
    // An interface that is none of Sandbar's has the bridge's name: it stays.
    ip(node, "link delete br-one");
    ip(node, "link add br-one type bridge");
    assert_eq!(node.says("network prune").ok(), "one\ntwo\n");
    ip(node, "link delete br-one");
    let record = "/var/lib/sandbar/networks/bad.json";
    std::fs::write(record, "{").expect("a record");
    let listed = node.says("network ls -q").run();
    assert_eq!(listed.stdout(), "sandbar\n");
    assert!(listed.stderr().contains("'bad' is broken"), "{listed}");
    node.says("run --network bad busybox true").refused(125, &["'bad' is broken", "network rm"]);
    let told = ["'bad'", "ip link delete", record];
    node.says("network rm -f bad").refused(1, &told);
    std::fs::remove_file(record).expect("it is there");
}

fn a_network_with_a_broken_record_is_removed_by_force(node: &Node) {
    node.has_busybox();
    node.says("network create --interface-name br-one one").ok();
    node.says("run -d --network one --name a busybox sleep 1000").ok();
    let record = "/var/lib/sandbar/networks/one.json";
    let text = std::fs::read_to_string(record).expect("a record");
    std::fs::write(record, text.replace("\"access\":\"open\"", "\"access\":\"?\"")).expect("one");
    node.says("network rm one").refused(1, &["'one' is broken", "network rm --force"]);
    node.says("network rm -f one").ok();
    node.says("network rm one").refused(1, &["no network 'one'"]);
    assert!(node.says("ps -aq").ok().is_empty());
    assert!(!ip(node, "-o link show type bridge").contains("br-one"));
    let table = node.run("/usr/sbin/nft", ["list", "table", "inet", "sandbar"]).ok();
    assert!(!table.contains("br-one") && !table.contains("10.85."), "{table}");
}

fn what_is_no_range_for_pods_is_refused(node: &Node) {
    for subnet in ["169.254.3.0/24", "0.0.0.0/8", "127.1.0.0/16", "224.0.0.0/24", "240.0.0.0/8"] {
        node.says(&format!("network create --subnet {subnet} one")).refused(1, &[subnet]);
    }
    for subnet in ["fe80::/64", "ff05::/64", "::/64", "::ffff:0.0.0.0/96"] {
        node.says(&format!("network create --subnet {subnet} one")).refused(1, &[subnet]);
    }
    node.says("network rm one").refused(1, &["'one'", "network ls"]);
}
