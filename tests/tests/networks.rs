//! The other networks: none, the host's, another's.

use std::fs;

use sandbar_tests::{Node, SOON, get, tests, until};

tests! {
    none_has_loopback_alone,
    host_is_the_nodes_own,
    a_container_joins_what_it_names_and_nothing_more,
    a_container_without_a_pods_network_has_no_ports,
    what_is_joined_must_be_there_and_run,
    every_pod_has_an_address_of_its_own,
    low_ports_are_open_to_all_users,
    pods_are_on_several_networks_with_addresses_of_both_families,
    pods_are_put_on_networks_and_taken_off_while_they_run,
    addresses_that_are_asked_for_are_given_once,
    a_network_has_so_many_addresses_and_no_more,
    what_can_be_no_network_is_refused_and_leaves_nothing,
    a_network_in_use_stays,
    a_bridge_that_somebody_deleted_comes_back,
    a_network_whose_bridges_name_is_somebody_elses_now_can_be_removed,
    pods_of_a_network_find_each_other_by_name,
    a_pod_finds_hosts_and_servers_that_it_was_given,
    a_namespace_of_somebody_elses_is_joined,
    two_hundred_pods_at_once_have_no_address_in_common,
}

fn none_has_loopback_alone(node: &Node) {
    node.has_busybox();
    let links = node.says("run --rm --net none busybox ip -o addr").ok();
    assert!(links.contains("127.0.0.1/8") && links.contains("lo"), "{links}");
    let script = "ls /sys/class/net | grep -v '^lo$' | grep -v '0$'; ip route";
    assert_eq!(node.says("run --rm --net none busybox sh -c").with([script]).ok(), "");
    node.says("run -d --name a --net none busybox sleep 1000").ok();
    assert_eq!(node.address("a"), "");
    assert!(!std::path::Path::new("/sys/class/net/sandbar0").exists());
    node.says("rm -f a").ok();
}

fn host_is_the_nodes_own(node: &Node) {
    node.has_busybox();
    let script = "mkdir /srv; echo host >/srv/index.html; exec httpd -f -p 8080 -h /srv";
    node.says("run -d --name a --net host busybox sh -c").with([script]).ok();
    until("an answer", SOON, || get("127.0.0.1:8080", "/").filter(|it| it.body == "host\n"));
    let own = fs::read_link("/proc/self/ns/net").expect("a namespace");
    assert_eq!(node.process("a").namespace("net"), own.to_string_lossy());
    assert!(node.says("exec a ip addr").ok().contains(Node::ADDRESS));
    node.says("rm -f a").ok();
    until("that it is gone", SOON, || get("127.0.0.1:8080", "/").is_none().then_some(()));
    // The host's own host name and processes, where asked for.
    assert_eq!(node.says("run --rm --uts host --net none busybox hostname").ok(), "node\n");
    let pid = node.says("run --rm --pid host --net none busybox sh -c").with(["echo $$"]).ok();
    assert!(pid.trim().parse::<u32>().expect("a number") > 1, "{pid}");
}

fn a_container_joins_what_it_names_and_nothing_more(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a busybox sleep 1000").ok();
    let a = node.process("a");
    for (option, joined) in [("--net", "net"), ("--ipc", "ipc"), ("--pid", "pid"), ("--uts", "uts")]
    {
        node.sandbar([
            "run",
            "-d",
            "--name",
            "b",
            &format!("{option}=container:a"),
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
        let b = node.process("b");
        for name in ["net", "ipc", "pid", "uts", "mnt"] {
            let same = a.namespace(name) == b.namespace(name);
            assert_eq!(same, name == joined, "{option}: {name}");
        }
        node.says("rm a").refused(1, &["a"]);
        node.says("rm -f b").ok();
    }
    let pods = node.says("pod ps -aq").ok();
    assert_eq!(pods.lines().count(), 1, "b was in the pod of a: {pods}");
    node.says("rm -f a").ok();
}

fn a_container_without_a_pods_network_has_no_ports(node: &Node) {
    node.has_busybox();
    node.says("pod create --name p -p 8080:80").ok();
    node.says("run -d --pod p --name in busybox sleep 1000").ok();
    node.says("run -d --pod p --name out --net none busybox sleep 1000").ok();
    assert_ne!(node.address("in"), "");
    assert_eq!(node.address("out"), "");
    let listed = node.says("ps").ok();
    let line = |name| listed.lines().find(|line| line.ends_with(name)).expect("a line").to_owned();
    assert!(line("in").contains("8080->80") && !line("out").contains("8080"), "{listed}");
    node.says("pod rm -f p").ok();
}

fn what_is_joined_must_be_there_and_run(node: &Node) {
    node.has_busybox();
    node.says("run --rm --net container:nobody busybox true").refused(125, &["nobody"]);
    node.says("run --rm --pod nobody busybox true").refused(125, &["nobody"]);
    node.says("run --rm --pid pod:nobody busybox true").refused(125, &["nobody"]);
    node.says("create --name a busybox sleep 1000").ok();
    node.says("run --rm --net container:a busybox true")
        .refused(125, &["a", "not running", "start"]);
    node.says("start a").ok();
    node.says("create --name b --pid container:a busybox sleep 1000").ok();
    node.says("stop -t 0 a").ok();
    node.says("start b").refused(125, &["a", "not running"]);
    node.says("run -d --name c busybox sleep 1000").ok();
    node.says("start a").ok();
    node.says("run --rm --net container:a --ipc container:c busybox true")
        .refused(125, &["one pod"]);
    node.says("rm b").ok();
    node.says("rm -f a c").ok();
    assert_eq!(node.says("ps -aq").ok(), "");
}

fn every_pod_has_an_address_of_its_own(node: &Node) {
    node.has_busybox();
    let names: Vec<String> = (0..8).map(|number| format!("c{number}")).collect();
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| {
                node.sandbar(["run", "-d", "--name", name, "busybox", "httpd", "-f", "-p", "80"])
                    .ok()
            });
        }
    });
    let mut addresses: Vec<String> = names.iter().map(|name| node.address(name)).collect();
    for address in &addresses {
        let connect = format!("echo | nc -w 2 {address} 80");
        node.sandbar(["exec", "c0", "sh", "-c", &connect]).ok();
    }
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), names.len(), "{addresses:?}");
    node.sandbar(["rm", "-f"]).with(names).ok();
}

fn low_ports_are_open_to_all_users(node: &Node) {
    node.has_busybox();
    node.says("run -d --name a --user nobody busybox nc -l -p 80").ok();
    let listens = || node.says("exec a netstat -ltn").ok().contains(":80 ").then_some(());
    until("that it listens", SOON, listens);
    node.says("rm -f a").ok();
}

/// What a container has on a network, as `inspect` shows it.
fn on(node: &Node, container: &str, network: &str, field: &str) -> String {
    let settings = &node.inspect(container)["NetworkSettings"]["Networks"][network][field];
    settings.as_str().unwrap_or_default().to_owned()
}

fn exec(node: &Node, container: &str, script: &str) -> String {
    node.sandbar(["exec", container, "sh", "-c", script]).ok()
}

fn pods_are_on_several_networks_with_addresses_of_both_families(node: &Node) {
    node.has_busybox();
    assert_eq!(node.says("network create --ipv6 one").ok(), "one\n");
    node.says("network create --subnet 10.99.1.0/24 --gateway 10.99.1.254 -o mtu=1400 two").ok();
    let listed = node.says("network ls").ok();
    for word in ["NETWORK ID", "sandbar", "10.84.0.0/16", "one", "10.85.0.0/24", "10.99.1.0/24"] {
        assert!(listed.contains(word), "{word}: {listed}");
    }
    node.says("run -d --cap-add NET_RAW --name a --network one --network two busybox sleep 1000")
        .ok();
    node.says("run -d --cap-add NET_RAW --name b --network two --network one busybox sleep 1000")
        .ok();
    let (one, two) = (on(node, "a", "one", "IPAddress"), on(node, "a", "two", "IPAddress"));
    assert!(one.starts_with("10.85.0.") && two.starts_with("10.99.1."), "{one} {two}");
    assert_eq!(node.address("a"), one);
    let six = on(node, "a", "one", "GlobalIPv6Address");
    for address in [&one, &two, &six] {
        exec(node, "b", &format!("ping -c 1 -W 2 {address}"));
    }
    let routes = exec(node, "a", "ip route; cat /sys/class/net/eth1/mtu");
    assert!(routes.contains("default via 10.85.0.1 dev eth0"), "{routes}");
    assert!(routes.ends_with("1400\n"), "{routes}");
    assert!(exec(node, "b", "ip route").contains("default via 10.99.1.254 dev eth0"));
    let shown = node.says("network inspect one").ok();
    assert!(shown.contains(&one) && shown.contains(&six), "{shown}");
    node.says("rm -f a b").ok();
    node.says("network rm one two").ok();
    let links = node.run("ip", ["-o", "link"]).ok();
    assert!(!links.contains("sb-"), "{links}");
}

fn pods_are_put_on_networks_and_taken_off_while_they_run(node: &Node) {
    node.has_busybox();
    node.says("network create one").ok();
    node.says("run -d --cap-add NET_RAW --name a busybox sleep 1000").ok();
    node.says("run -d --cap-add NET_RAW --name b --network one busybox sleep 1000").ok();
    node.says("network connect --ip 10.85.0.77 one a").ok();
    assert_eq!(on(node, "a", "one", "IPAddress"), "10.85.0.77");
    exec(node, "b", "ping -c 1 -W 2 10.85.0.77");
    assert!(exec(node, "a", "cat /etc/hosts").contains("10.85.0.77"));
    node.says("network connect one a").refused(1, &["already", "one"]);
    node.says("network disconnect bridge a").ok();
    let routes = exec(node, "a", "ip route; ip -o link");
    assert!(routes.contains("default via 10.85.0.1") && !routes.contains("eth0"), "{routes}");
    exec(node, "b", "ping -c 1 -W 2 10.85.0.77");
    node.says("network disconnect one a").ok();
    node.says("network disconnect one a").refused(1, &["not on", "one"]);
    assert_eq!(node.address("a"), "");
    node.says("stop -t 0 a").ok();
    node.says("network connect one a").ok();
    node.says("start a").ok();
    exec(node, "a", "ping -c 1 -W 2 10.85.0.1");
    node.says("rm -f a b").ok();
    node.says("network prune").ok();
}

fn addresses_that_are_asked_for_are_given_once(node: &Node) {
    node.has_busybox();
    node.says("network create --subnet 10.99.0.0/24 --subnet fd00:99::/64 one").ok();
    let line = "run -d --cap-add NET_RAW --name a --network one --ip 10.99.0.9 --ip6 fd00:99::abc \
                --mac-address 02:00:00:00:00:09 busybox sleep 1000";
    node.says(line).ok();
    let shown = exec(node, "a", "ip addr show eth0");
    for word in ["10.99.0.9/24", "fd00:99::abc/64", "02:00:00:00:00:09"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let refused = |options: &str, words: &[&str]| {
        node.says(&format!("run --rm {options} busybox true")).refused(125, words);
    };
    refused("--network one --ip 10.99.0.9", &["10.99.0.9", "pod 'a'"]);
    refused("--network one --ip6 fd00:99::abc", &["fd00:99::abc", "pod 'a'"]);
    refused("--network one:ip=10.99.1.9", &["10.99.1.9", "10.99.0.0/24"]);
    refused("--network one --ip 10.99.0.1", &["10.99.0.1", "gateway"]);
    refused("--network one --ip 10.99.0.255", &["broadcast"]);
    refused("--network one --network bridge --ip 10.99.0.7", &["several"]);
    refused("--network host --ip 10.99.0.7", &["--ip"]);
    refused("--network-alias x", &["default network"]);
    refused("--network nobody", &["nobody"]);
    node.says("rm -f a").ok();
    node.says("run --rm --network one --ip 10.99.0.9 busybox true").ok();
    node.says("network rm one").ok();
}

fn a_network_has_so_many_addresses_and_no_more(node: &Node) {
    node.has_busybox();
    node.says("network create --subnet 10.99.0.0/24 --ip-range 10.99.0.8/31 --disable-dns one")
        .ok();
    for name in ["a", "b"] {
        node.says(&format!("create --name {name} --network one busybox true")).ok();
    }
    node.says("create --network one busybox true").refused(125, &["one", "10.99.0.0/24", "left"]);
    node.says("create --name c --network one --ip 10.99.0.77 busybox true").ok();
    node.says("rm a").ok();
    node.says("create --name a --network one busybox true").ok();
    node.says("rm a b c").ok();
    node.says("network rm one").ok();
}

fn what_can_be_no_network_is_refused_and_leaves_nothing(node: &Node) {
    node.says("network create --subnet 10.99.0.0/24 one").ok();
    for (arguments, words) in [
        ("--subnet 10.99.0.128/25 two", &["10.99.0.128/25", "'one'"][..]),
        ("--subnet 192.0.2.0/24 two", &["192.0.2.0/24", "lo"]),
        ("--subnet 10.84.7.0/24 two", &["sandbar"]),
        ("--subnet 10.98.0.0/24 --gateway 10.97.0.1 two", &["10.97.0.1"]),
        ("--subnet 10.98.0.0/24 --ip-range 10.97.0.0/25 two", &["10.97.0.0/25"]),
        ("--gateway 10.97.0.1 two", &["subnet"]),
        ("--interface-name lo two", &["lo"]),
        ("--interface-name sixteen-letters- two", &["sixteen-letters-"]),
        ("-o mtu=7 two", &["7"]),
        ("one", &["one", "taken"]),
        ("host", &["host"]),
    ] {
        node.says(&format!("network create {arguments}")).refused(1, words);
    }
    assert_eq!(node.says("network ls -q").ok(), "sandbar\none\n");
    node.says("network rm sandbar").refused(1, &["always"]);
    node.says("network rm nobody").refused(1, &["nobody"]);
    node.says("network rm one").ok();
}

fn a_network_in_use_stays(node: &Node) {
    node.has_busybox();
    node.says("network create one").ok();
    node.says("create --name a --network one busybox true").ok();
    node.says("network rm one").refused(1, &["one", "a"]);
    assert_eq!(node.says("network prune").ok(), "");
    node.says("network rm -f one").ok();
    assert_eq!(node.says("ps -aq").ok(), "");
}

fn a_bridge_that_somebody_deleted_comes_back(node: &Node) {
    node.has_busybox();
    node.says("network create --interface-name br-one one").ok();
    node.run("ip", ["link", "delete", "br-one"]).ok();
    node.says("run --rm --cap-add NET_RAW --network one busybox ping -c 1 -W 2 10.85.0.1").ok();
    node.run("ip", ["link", "delete", "br-one"]).ok();
    node.says("network rm one").ok();
}

fn a_network_whose_bridges_name_is_somebody_elses_now_can_be_removed(node: &Node) {
    node.has_busybox();
    node.says("network create --interface-name br-one one").ok();
    node.says("run --rm --network one busybox true").ok();
    node.run("ip", ["link", "delete", "br-one"]).ok();
    node.run("ip", ["link", "add", "br-one", "type", "bridge"]).ok();
    node.says("run --rm --network one busybox true").refused(125, &["br-one", "not a bridge of"]);
    node.says("network rm one").ok();
    // It stays, and nothing that was meant for ours is done to what it forwards.
    node.run("ip", ["link", "show", "br-one"]).ok();
    let table = node.run("/usr/sbin/nft", ["list", "table", "inet", "sandbar"]).ok();
    assert!(!table.contains("br-one"), "{table}");
    node.run("ip", ["link", "delete", "br-one"]).ok();
}

fn pods_of_a_network_find_each_other_by_name(node: &Node) {
    node.has_busybox();
    node.says("network create one").ok();
    node.says(
        "run -d --cap-add NET_RAW --name a --network one --network-alias db busybox sleep 1000",
    )
    .ok();
    node.says("run -d --cap-add NET_RAW --name b --network one busybox sleep 1000").ok();
    for name in ["a", "db", "db.one", "a.dns.sandbar"] {
        exec(node, "b", &format!("ping -c 1 -W 2 {name}"));
    }
    node.says("rm -f a").ok();
    let gone = node.says("exec b nslookup db.dns.sandbar").run();
    assert_ne!(gone.exit_code(), 0, "{gone:?}");
    node.says("rm -f b").ok();
    node.says("network rm one").ok();
}

fn a_pod_finds_hosts_and_servers_that_it_was_given(node: &Node) {
    node.has_busybox();
    let line = "run --rm --add-host db:10.9.8.7 --add-host up:host-gateway --dns 192.0.2.53 \
                --dns-search example.org --dns-option ndots:3 busybox cat /etc/hosts \
                /etc/resolv.conf";
    let text = node.says(line).ok();
    for line in [
        "10.9.8.7\tdb",
        "10.84.0.1\tup",
        "nameserver 192.0.2.53",
        "search example.org",
        "options ndots:3",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

fn a_namespace_of_somebody_elses_is_joined(node: &Node) {
    node.has_busybox();
    node.says("run -d --cap-add NET_RAW --name a busybox sleep 1000").ok();
    let path = format!("ns:/proc/{}/ns/net", node.process("a").number());
    let links = node.sandbar(["run", "--rm", "--network", &path, "busybox", "ip", "addr"]).ok();
    assert!(links.contains(&node.address("a")), "{links}");
    node.says("run --rm --network ns:/etc/hosts busybox true").refused(125, &["/etc/hosts"]);
    node.says("run --rm --network ns:/proc/self/ns/mnt busybox true").refused(125, &["network"]);
    node.says("rm -f a").ok();
}

fn two_hundred_pods_at_once_have_no_address_in_common(node: &Node) {
    node.has_busybox();
    node.says("network create --subnet 10.99.0.0/24 --subnet fd00:99::/64 one").ok();
    let names: Vec<String> = (0..200).map(|number| format!("c{number}")).collect();
    std::thread::scope(|scope| {
        for part in names.chunks(25) {
            scope.spawn(move || {
                for name in part {
                    let line = format!("create --name {name} --network one busybox true");
                    node.says(&line).ok();
                }
            });
        }
    });
    let shown = node.says("network inspect one").ok();
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let pods = shown[0]["Pods"].as_object().expect("pods");
    for field in ["IPv4Address", "IPv6Address"] {
        let addresses: std::collections::HashSet<_> =
            pods.values().filter_map(|pod| pod[field].as_str()).collect();
        assert_eq!(addresses.len(), names.len(), "{field}");
    }
    node.says("network rm -f one").ok();
    assert_eq!(node.says("pod ps -aq").ok(), "");
}
