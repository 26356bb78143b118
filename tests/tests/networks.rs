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
