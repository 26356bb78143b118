//! Pods on a network of CNI plugins, in place of Sandbar's bridge.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;
use sandbar_tests::{Node, SOON, get, tests, until};
use serde_json::Value;

tests! {
    a_pod_is_on_the_network_of_the_plugins_and_its_port_is_reached [Cni],
    it_stops_starts_and_goes_by_commands_that_are_told_nothing [Cni],
    a_pod_that_goes_by_itself_leaves_nothing [Cni],
    what_a_killed_pod_leased_is_given_back [Cni],
    how_fast_it_is_is_the_plugins_to_limit [Cni],
    what_a_reboot_took_is_given_back [Cni],
    what_plugins_can_not_undo_keeps_no_pod_and_is_not_forgotten [Cni],
    what_is_wrong_is_told_and_nothing_is_left [Cni],
}

const SERVE: &str = "mkdir -p /srv; hostname >/srv/index.html; exec httpd -f -p 80 -h /srv";
const NETWORK: &str = r#"{"cniVersion":"1.0.0","name":"net","plugins":[
    {"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,"hairpinMode":true,
     "ipam":{"type":"host-local","dataDir":"/run/leases","ranges":[[{"subnet":"10.99.0.0/24"}]],
             "routes":[{"dst":"0.0.0.0/0"}]},"dns":{"nameservers":["10.99.0.53"]}},
    {"type":"portmap","capabilities":{"portMappings":true}}]}"#;
const CNI: &str = "--cni-conf-dir /run/test/conf --cni-plugin-dir /usr/lib/cni";

fn has_network(node: &Node) {
    node.has_busybox();
    fs::create_dir(node.path("conf")).expect("a directory");
    node.file("conf/net.conflist", NETWORK);
}

fn run(node: &Node, options: &str) -> sandbar_tests::Command {
    node.says(&format!("{CNI} run {options} busybox sh -c"))
}

/// What plugins leased, and the rules that they made for pods.
fn leased(node: &Node) -> Vec<String> {
    let leases = fs::read_dir("/run/leases/net").into_iter().flatten().flatten();
    let names = leases.filter_map(|lease| lease.file_name().into_string().ok());
    let rules = node.run("iptables-save", ["-t", "nat"]).ok();
    let rules = rules.lines().filter(|rule| rule.contains("10.99.0.") || rule.contains("8080"));
    names.filter(|name| name.starts_with("10.99")).chain(rules.map(str::to_owned)).collect()
}

fn serves(address: &str) -> Option<()> {
    get(address, "/").filter(|answer| answer.body == "web\n").map(|_| ())
}

fn a_pod_is_on_the_network_of_the_plugins_and_its_port_is_reached(node: &Node) {
    has_network(node);
    run(node, "-d --name web --hostname web -p 8080:80").with([SERVE]).ok();
    let address = node.address("web");
    assert!(address.starts_with("10.99.0."), "{address}");
    let settings = &node.inspect("web")["NetworkSettings"];
    assert_eq!(settings["Gateway"], "10.99.0.1");
    assert!(!Path::new("/sys/class/net/sandbar0").exists());
    until("that it serves", SOON, || serves(&format!("{address}:80")));
    assert_eq!(serves(&format!("{}:8080", Node::ADDRESS)), Some(()));
    let inside = node.says("exec web sh -c").with(["ip -o addr; cat /etc/hosts /etc/resolv.conf"]);
    let inside = inside.ok();
    assert!(inside.contains(&format!("inet {address}/24")), "{inside}");
    assert!(inside.contains(&format!("{address}\tweb web")), "{inside}");
    assert!(inside.contains("nameserver 10.99.0.53"), "{inside}");
    assert!(inside.contains("127.0.0.1/8"), "{inside}");
    node.says("network create one").ok();
    node.says("network connect one web").refused(1, &["'web'", "CNI network 'net'"]);
    assert_eq!(node.inspect("web")["NetworkSettings"]["Networks"]["one"], Value::Null);
    node.says("network rm one").ok();
    // One that asks for nothing of it is on the bridge as ever.
    node.says("run -d --name other busybox sleep 1000").ok();
    assert!(node.address("other").starts_with("10.84."));
    run(node, "--rm --net none").with(["! ip -o link | grep eth0"]).ok();
    node.says("rm -f web other").ok();
    assert_eq!(leased(node), Vec::<String>::new());
}

fn it_stops_starts_and_goes_by_commands_that_are_told_nothing(node: &Node) {
    has_network(node);
    node.says(&format!("{CNI} pod create --name p -p 8080:80")).ok();
    node.says("run -d --pod p --name web --restart always busybox sh -c")
        .with(["mkdir -p /srv; echo web >/srv/index.html; exec httpd -f -p 80 -h /srv"])
        .ok();
    until("an answer", SOON, || serves(&format!("{}:8080", Node::ADDRESS)));
    node.says("pod stop -t 0 p").ok();
    until("that the plugins are done", SOON, || leased(node).is_empty().then_some(()));
    assert_eq!(node.address("web"), "");
    node.says("pod start p").ok();
    node.says("start web").ok();
    until("an answer", SOON, || serves(&format!("{}:8080", Node::ADDRESS)));
    let address = node.address("web");
    assert!(node.says("exec web cat /etc/hosts").ok().contains(&format!("{address}\tp p")));
    node.says("pod rm -f p").ok();
    assert_eq!(leased(node), Vec::<String>::new());
}

fn a_pod_that_goes_by_itself_leaves_nothing(node: &Node) {
    has_network(node);
    let shown = run(node, "--rm -p 8080:80").with(["ip -o addr show dev eth0"]).ok();
    assert!(shown.contains("10.99.0."), "{shown}");
    assert_eq!(leased(node), Vec::<String>::new());
    assert!(node.pods().is_empty());
}

fn what_a_killed_pod_leased_is_given_back(node: &Node) {
    has_network(node);
    run(node, "-d --name web -p 8080:80").with(["exec sleep 1000"]).ok();
    let supervisor = node.supervisor("web");
    let web = node.process("web");
    supervisor.signal(Signal::KILL);
    web.signal(Signal::KILL);
    until("their end", SOON, || (!supervisor.lives() && !web.lives()).then_some(()));
    assert!(!leased(node).is_empty());
    node.says("rm -f web").ok();
    // Without the namespace the plugins of 1.1.1 do not find the rule of ipMasq that they made.
    let left = leased(node);
    assert!(left.iter().all(|it| !it.starts_with("10.99") && !it.contains("8080")), "{left:?}");
}

fn how_fast_it_is_is_the_plugins_to_limit(node: &Node) {
    has_network(node);
    let limits = "--ingress-bandwidth 8M --egress-bandwidth 4M";
    run(node, &format!("--rm {limits}")).with(["true"]).refused(125, &["'net'", "'bandwidth'"]);
    node.says(&format!("run --rm {limits} busybox true")).refused(125, &["CNI plugins alone"]);
    node.says("run --rm --ingress-bandwidth 8Mi busybox true").refused(125, &["8Mi", "10M"]);
    // What a plugin is given, without a kernel that has the token bucket filter.
    let plugin = "#!/bin/sh\ncat >>/run/test/asked\necho '{\"cniVersion\":\"1.0.0\"}'\n";
    let program = node.file("note", plugin);
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("a program");
    let noting = r#"{"cniVersion":"1.0.0","name":"net","plugins":[
        {"type":"note","capabilities":{"bandwidth":true}}]}"#;
    node.file("conf/net.conflist", noting);
    let command = "--cni-conf-dir /run/test/conf --cni-plugin-dir /run/test run --rm";
    node.says(&format!("{command} {limits} busybox true")).ok();
    let asked = fs::read_to_string(node.path("asked")).expect("what the plugin was asked");
    for rate in
        [r#""ingressRate":8000000"#, r#""egressRate":4000000"#, r#""egressBurst":2147483647"#]
    {
        assert!(asked.contains(rate), "{asked}");
    }
}

fn what_a_reboot_took_is_given_back(node: &Node) {
    has_network(node);
    run(node, "-d --name web").with(["exec sleep 1000"]).ok();
    let (supervisor, web) = (node.supervisor("web"), node.process("web"));
    supervisor.signal(Signal::KILL);
    web.signal(Signal::KILL);
    until("their end", SOON, || (!supervisor.lives() && !web.lives()).then_some(()));
    // As `a_reboot_leaves_what_is_kept` of faults.rs has it.
    fs::remove_dir_all("/run/sandbar").expect("a cleared /run");
    let record = "/var/lib/sandbar/boot.json";
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("the boot's id");
    let recorded = fs::read_to_string(record).expect("the record of the boot");
    fs::write(record, recorded.replace(boot.trim(), "another")).expect("another boot");
    node.says("run --rm --net none busybox true").ok();
    assert!(leased(node).iter().all(|it| !it.starts_with("10.99")));
    // A reboot takes the cgroups too.
    let empty = "rmdir /sys/fs/cgroup/*/sandbar/*/* /sys/fs/cgroup/*/sandbar/*";
    node.run("/bin/busybox", ["sh", "-c", empty]).run();
}

fn what_plugins_can_not_undo_keeps_no_pod_and_is_not_forgotten(node: &Node) {
    has_network(node);
    node.file("conf/net.conflist", NETWORK.replace(r#""type":"host-local""#, r#""type":"none""#));
    node.says(&format!("{CNI} create --name web busybox true")).ok();
    let both = ["plugin 'bridge' failed to ADD", "and then plugin 'bridge' failed to DEL"];
    node.says("start web").refused(125, &both);
    let gone = node.says("rm -f web").run();
    assert!(gone.stderr().contains("plugin 'bridge' failed to DEL"), "{gone:?}");
    assert!(node.pods().is_empty());
    let records = "/var/lib/sandbar/cni";
    assert_eq!(fs::read_dir(records).map_or(0, Iterator::count), 1);
    fs::remove_dir_all(records).expect("the records");
}

fn what_is_wrong_is_told_and_nothing_is_left(node: &Node) {
    has_network(node);
    let conf = "--cni-conf-dir /run/test/none run --rm busybox true";
    node.says(conf).refused(125, &["/run/test/none", "no such directory"]);
    node.says("--cni-plugin-dir /usr/lib/cni ps").refused(2, &["--cni-conf-dir"]);
    let missing = "--cni-conf-dir /run/test/conf --cni-plugin-dir /run/test run --rm busybox true";
    node.says(missing).refused(125, &["plugin 'bridge' is not in /run/test"]);
    // Of networks, the one that it is alone.
    let only = ["CNI network 'net' and on no other", "--network net"];
    for other in ["bridge", "sandbar", "web"] {
        let asked = run(node, &format!("--rm --network {other}"));
        asked.with(["true"]).refused(125, &[&format!("--network {other}:"), only[0], only[1]]);
    }
    run(node, "--rm --network net:ip=10.99.0.9").with(["true"]).refused(125, &["'net'", "plugins"]);
    run(node, "--rm --ip 10.99.0.9").with(["true"]).refused(125, &["'net'", "plugins"]);
    let host = "--rm --add-host host:host-gateway";
    run(node, host).with(["true"]).refused(125, &["host-gateway", "CNI"]);
    run(node, "--rm --network net").with(["ip -o addr | grep 10.99.0."]).ok();
    node.file("conf/net.conflist", NETWORK.replace("portMappings", "other"));
    run(node, "--rm -p 8080:80").with(["true"]).refused(125, &["'net'", "'portMappings'"]);
    node.file("conf/net.conflist", NETWORK.replace(r#""cni0""#, r#""longer-than-a-name""#));
    run(node, "--rm").with(["true"]).refused(125, &["plugin 'bridge' failed to ADD"]);
    node.file("conf/net.conflist", "{");
    run(node, "--rm").with(["true"]).refused(125, &["conf/net.conflist: not JSON"]);
    assert!(leased(node).is_empty());
}
