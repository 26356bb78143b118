//! The names that a network's resolver answers for.

use std::fs;

use sandbar_tests::{Node, tests};

tests! {
    a_pod_finds_the_names_of_all_its_networks_and_others_do_not,
    names_come_and_go_with_the_networks_of_a_pod_that_runs,
    a_name_of_two_networks_is_that_of_the_first,
    a_pod_on_an_internal_network_finds_outside_names_by_its_other_network,
    addresses_lead_to_the_names_of_all_networks,
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
    let socket = std::net::UdpSocket::bind("127.0.0.1:53").expect("port 53");
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
