//! The names that a network's resolver answers for.

use std::fs;
use std::net::UdpSocket;
use std::time::Duration;

use rustix::process::Signal;
use sandbar_tests::{Node, Process, SOON, living, tests, until};

tests! {
    a_pod_finds_the_names_of_all_its_networks_and_others_do_not,
    names_come_and_go_with_the_networks_of_a_pod_that_runs,
    a_name_of_two_networks_is_that_of_the_first,
    a_pod_on_an_internal_network_finds_outside_names_by_its_other_network,
    addresses_lead_to_the_names_of_all_networks,
    a_resolver_that_is_killed_is_back_without_a_command,
    a_network_that_a_pod_was_put_on_later_has_its_resolver_back_too,
    a_resolver_does_not_hold_what_was_its_starters,
    an_address_that_another_takes_is_not_fought_for,
}

const SLEEP: &str = "busybox sleep 1000";

/// What a name, or an address, leads to from inside a container, by whichever server it asks first.
fn found(node: &Node, container: &str, name: &str) -> String {
    asked(node, container, name, "")
}

/// The same by one server.
fn asked(node: &Node, container: &str, name: &str, server: &str) -> String {
    let script = format!("nslookup {name} {server}");
    let output = node.sandbar(["exec", container, "sh", "-c"]).with([&script]).run();
    let text = output.stdout();
    // What follows the server's own address.
    let answer = text.split_once("\n\n").map_or("", |(_server, answer)| answer);
    let addresses = answer.lines().filter_map(|line| line.strip_prefix("Address: "));
    let names = answer.lines().filter_map(|line| line.split_once("name = ").map(|it| it.1));
    addresses.chain(names).map(str::trim).collect::<Vec<_>>().join(" ")
}

fn on(node: &Node, container: &str, network: &str) -> String {
    let settings = &node.inspect(container)["NetworkSettings"]["Networks"][network];
    settings["IPAddress"].as_str().expect("an address").to_owned()
}

fn servers(node: &Node, container: &str) -> Vec<String> {
    let text = node.sandbar(["exec", container, "cat", "/etc/resolv.conf"]).ok();
    let servers = text.lines().filter_map(|line| line.strip_prefix("nameserver "));
    servers.map(str::to_owned).collect()
}

/// A server for all names of the world, which are its own address, and the host's only one.
fn has_world(node: &Node) {
    let conf = node.file("resolv.conf", "nameserver 127.0.0.1\n");
    node.run("mount", ["--bind", &conf.to_string_lossy(), "/etc/resolv.conf"]).ok();
    let socket = UdpSocket::bind("127.0.0.1:53").expect("port 53");
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let Some(question) = buffer.get(..length) else { continue };
            // An answer, with recursion; one record, of the question's name, type and class.
            let mut answer = question.to_vec();
            answer[2..4].copy_from_slice(&[0x81, 0x80]);
            answer[7] = 1;
            let is_v4 = question.get(length - 4..) == Some(&[0, 1, 0, 1]);
            answer[7] = u8::from(is_v4);
            if is_v4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 99]);
            }
            let _sent = socket.send_to(&answer, peer);
        }
    });
}

fn a_pod_finds_the_names_of_all_its_networks_and_others_do_not(node: &Node) {
    node.has_busybox();
    for network in ["one", "two", "three"] {
        node.says(&format!("network create {network}")).ok();
        node.says(&format!("run -d --name in-{network} --network {network} {SLEEP}")).ok();
    }
    node.says(&format!("run -d --name both --network one --network two {SLEEP}")).ok();
    let (one, two) = (on(node, "in-one", "one"), on(node, "in-two", "two"));
    let servers = servers(node, "both");
    assert_eq!(servers, ["10.85.0.1", "10.85.1.1"]);
    for server in &servers {
        for (name, address) in [
            ("in-one.dns.sandbar", &one),
            ("in-one.one", &one),
            ("in-two.dns.sandbar", &two),
            ("in-two.two", &two),
        ] {
            let found = asked(node, "both", name, server);
            assert_eq!(found, *address, "{name} of {server}");
        }
        let found = asked(node, "both", "in-three.dns.sandbar", server);
        assert_eq!(found, "", "of a network that it is not on");
    }
    assert_eq!(found(node, "in-one", "in-two.dns.sandbar"), "");
    let seen = [on(node, "both", "one"), on(node, "both", "two")];
    assert_eq!(found(node, "in-one", "both.dns.sandbar"), seen[0]);
    assert_eq!(found(node, "in-two", "both.dns.sandbar"), seen[1]);
    node.says("rm -f both in-one in-two in-three").ok();
    node.says("network rm one two three").ok();
}

fn names_come_and_go_with_the_networks_of_a_pod_that_runs(node: &Node) {
    node.has_busybox();
    for network in ["one", "two"] {
        node.says(&format!("network create {network}")).ok();
        node.says(&format!("run -d --name in-{network} --network {network} {SLEEP}")).ok();
    }
    node.says(&format!("run -d --name a --network one {SLEEP}")).ok();
    let (one, two) = (on(node, "in-one", "one"), on(node, "in-two", "two"));
    for _ in 0..3 {
        assert_eq!(found(node, "a", "in-two.dns.sandbar"), "");
        node.says("network connect two a").ok();
        assert_eq!(found(node, "a", "in-two.dns.sandbar"), two);
        assert_eq!(asked(node, "a", "in-one.dns.sandbar", "10.85.1.1"), one);
        node.says("network disconnect two a").ok();
        assert_eq!(found(node, "a", "in-one.dns.sandbar"), one);
    }
    node.says("network connect two a").ok();
    node.says("network disconnect one a").ok();
    assert_eq!(servers(node, "a"), ["10.85.1.1"]);
    assert_eq!(found(node, "a", "in-one.dns.sandbar"), "");
    assert_eq!(found(node, "a", "in-two.dns.sandbar"), two);
    // One that does not run is put on a network, and finds its names when it does.
    node.says("stop -t 0 a").ok();
    node.says("network connect one a").ok();
    node.says("start a").ok();
    assert_eq!(found(node, "a", "in-one.dns.sandbar"), one);
    assert_eq!(found(node, "a", "in-two.dns.sandbar"), two);
    node.says("rm -f a in-one in-two").ok();
    node.says("network rm one two").ok();
}

fn a_name_of_two_networks_is_that_of_the_first(node: &Node) {
    node.has_busybox();
    for network in ["one", "two"] {
        node.says(&format!("network create {network}")).ok();
        let options = format!("--name db-{network} --network {network} --network-alias db");
        node.says(&format!("run -d {options} {SLEEP}")).ok();
    }
    let (one, two) = (on(node, "db-one", "one"), on(node, "db-two", "two"));
    node.says(&format!("run -d --name a --network one --network two {SLEEP}")).ok();
    node.says(&format!("run -d --name b --network two --network one {SLEEP}")).ok();
    for server in ["10.85.0.1", "10.85.1.1"] {
        for (container, address) in [("a", &one), ("b", &two)] {
            let found = asked(node, container, "db.dns.sandbar", server);
            assert_eq!(found, *address, "{container} of {server}");
            assert_eq!(asked(node, container, "db.one", server), one);
            assert_eq!(asked(node, container, "db.two", server), two);
        }
    }
    node.says("rm -f a b db-one db-two").ok();
    node.says("network rm one two").ok();
}

fn a_pod_on_an_internal_network_finds_outside_names_by_its_other_network(node: &Node) {
    node.has_busybox();
    has_world(node);
    node.says("network create --internal inner").ok();
    node.says("network create outer").ok();
    node.says(&format!("run -d --name db --network inner {SLEEP}")).ok();
    let db = on(node, "db", "inner");
    assert_eq!(found(node, "db", "www.example.com"), "");
    for networks in [
        "--network inner --network outer",
        "--network outer --network inner",
        "--network inner --network bridge",
        "--network bridge --network inner",
    ] {
        node.says(&format!("run -d --name a {networks} {SLEEP}")).ok();
        for server in servers(node, "a") {
            let found = |name: &str| asked(node, "a", name, &server);
            assert_eq!(found("www.example.com"), "192.0.2.99", "{networks}: {server}");
            assert_eq!(found("db.dns.sandbar"), db, "{networks}: {server}");
        }
        node.says("rm -f a").ok();
    }
    // It has another way out for as long as it is on the other network.
    node.says(&format!("run -d --name a --network inner {SLEEP}")).ok();
    assert_eq!(found(node, "a", "www.example.com"), "");
    node.says("network connect bridge a").ok();
    assert_eq!(found(node, "a", "www.example.com"), "192.0.2.99");
    assert_eq!(found(node, "db", "www.example.com"), "", "that is another's right");
    node.says("network disconnect bridge a").ok();
    assert_eq!(found(node, "a", "www.example.com"), "");
    node.says("rm -f a db").ok();
    node.says("network rm inner outer").ok();
    fs::write("/etc/resolv.conf", "").expect("the node's own");
}

fn addresses_lead_to_the_names_of_all_networks(node: &Node) {
    node.has_busybox();
    node.says("network create one").ok();
    node.says("network create --internal --ipv6 two").ok();
    node.says(&format!("run -d --name db --network two {SLEEP}")).ok();
    node.says(&format!("run -d --name a --network one --network two {SLEEP}")).ok();
    let settings = &node.inspect("db")["NetworkSettings"]["Networks"]["two"];
    for field in ["IPAddress", "GlobalIPv6Address"] {
        let address = settings[field].as_str().expect("an address");
        assert_eq!(found(node, "a", address), "db.two", "{address}");
    }
    node.says("rm -f a db").ok();
    node.says("network rm one two").ok();
}

/// The resolver of a network, of this node's.
fn resolvers(network: &str) -> Vec<Process> {
    let directory = format!("/run/sandbar/networks/{network}");
    let is_it = |process: &Process| {
        let command = process.command();
        command.starts_with("sandbar-resolver") && command.contains(&directory)
    };
    living().into_iter().filter(is_it).collect()
}

/// Kills the resolver of a network, and waits until there is another.
fn kill_resolver(network: &str) {
    let [killed] = resolvers(network)[..] else { panic!("{:?}", resolvers(network)) };
    killed.signal(Signal::KILL);
    let another = || resolvers(network).iter().any(|it| it.number() != killed.number());
    until("another resolver", SOON, || another().then_some(()));
}

/// Whether a server answers for a name with addresses: asked by this process, as the gateway itself.
fn answers(server: &str, name: &str) -> bool {
    let Ok(socket) = UdpSocket::bind("0.0.0.0:0") else { return false };
    let mut question = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).expect("a label"));
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    let mut answer = [0; 512];
    socket.connect((server, 53)).is_ok()
        && socket.set_read_timeout(Some(Duration::from_millis(200))).is_ok()
        && socket.send(&question).is_ok()
        && socket.recv(&mut answer).is_ok()
        && answer[..2] == [0, 7]
        && answer[7] > 0
}

fn a_resolver_that_is_killed_is_back_without_a_command(node: &Node) {
    node.has_busybox();
    node.says("network create one").ok();
    for name in ["a", "b", "c"] {
        node.says(&format!("run -d --name {name} --network one {SLEEP}")).ok();
    }
    let answers = |name: &str| until(name, SOON, || answers("10.85.0.1", name).then_some(()));
    for _ in 0..5 {
        answers("a.dns.sandbar");
        kill_resolver("one");
        answers("b.dns.sandbar");
        assert_eq!(resolvers("one").len(), 1, "three supervisors have brought one back");
    }
    assert_eq!(found(node, "a", "c.dns.sandbar"), on(node, "c", "one"));
    // By a supervisor that has taken over from one that was killed.
    node.says("rm -f b c").ok();
    node.supervisor("a").signal(Signal::KILL);
    node.says("exec a true").ok();
    kill_resolver("one");
    answers("a.dns.sandbar");
    node.says("rm -f a").ok();
    let none = || resolvers("one").is_empty().then_some(());
    until("that nobody brings it back without pods", SOON, none);
    node.says("network rm one").ok();
}

fn a_network_that_a_pod_was_put_on_later_has_its_resolver_back_too(node: &Node) {
    node.has_busybox();
    node.says("network create one").ok();
    node.says("network create two").ok();
    node.says(&format!("run -d --name a {SLEEP}")).ok();
    node.says("network connect one a").ok();
    node.says("network connect two a").ok();
    for (network, server) in [("one", "10.85.0.1"), ("two", "10.85.1.1")] {
        kill_resolver(network);
        until("an answer", SOON, || answers(server, "a.dns.sandbar").then_some(()));
    }
    node.says("network disconnect two a").ok();
    let none = || resolvers("two").is_empty().then_some(());
    until("that nobody brings it back without pods", SOON, none);
    kill_resolver("one");
    assert_eq!(resolvers("two").len(), 0);
    node.says("rm -f a").ok();
    node.says("network rm one two").ok();
}

fn a_resolver_does_not_hold_what_was_its_starters(node: &Node) {
    node.has_busybox();
    node.says("network create one").ok();
    node.says(&format!("run -d --name a --network one {SLEEP}")).ok();
    kill_resolver("one");
    let own = fs::read_link("/proc/self/ns/mnt").expect("a namespace");
    let [resolver] = resolvers("one")[..] else { panic!("{:?}", resolvers("one")) };
    assert_ne!(node.supervisor("a").namespace("mnt"), own.to_string_lossy());
    let there = || (resolver.namespace("mnt") == own.to_string_lossy()).then_some(());
    until("that it is in the host's mount namespace", SOON, there);
    assert_eq!(resolver.status("Uid").split_whitespace().next(), Some("65534"));
    // It is nobody's child in particular: it stays when its starter ends.
    node.says(&format!("run -d --name b --network one {SLEEP}")).ok();
    node.says("rm -f a").ok();
    assert!(resolver.lives());
    assert_eq!(found(node, "b", "b.dns.sandbar"), on(node, "b", "one"));
    node.says("rm -f b").ok();
    node.says("network rm one").ok();
}

fn an_address_that_another_takes_is_not_fought_for(node: &Node) {
    node.has_busybox();
    node.says("network create one").ok();
    node.says(&format!("run -d --name a --network one {SLEEP}")).ok();
    let [resolver] = resolvers("one")[..] else { panic!("{:?}", resolvers("one")) };
    let supervisor = node.supervisor("a");
    // Stopped, so that it starts no other before the address is taken.
    supervisor.signal(Signal::STOP);
    resolver.signal(Signal::KILL);
    let taken = until("the address", SOON, || UdpSocket::bind("10.85.0.1:53").ok());
    supervisor.signal(Signal::CONT);
    // All else of the pod goes on.
    node.says("exec a true").ok();
    assert_eq!(resolvers("one").len(), 0);
    drop(taken);
    until("an answer", SOON, || answers("10.85.0.1", "a.dns.sandbar").then_some(()));
    node.says("rm -f a").ok();
    node.says("network rm one").ok();
}
