//! Who reaches whom by way of a host: a neighbour that knows all routes, pods that mean harm, and networks of each
//! kind. Row 30 of docs/security.md (CVE-2020-8558, 2020-10749).

use std::net::{Ipv6Addr, SocketAddrV6, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use sandbar_tests::{
    HOST, Machine, NEIGHBOUR, Node, SOON, ask, ask_within, ip, tell, tests, until,
};

tests! {
    row_30_loopback_services_are_reached_by_nobody_else,
    row_30_an_unpublished_port_is_not_reached_by_who_knows_the_route,
    row_30_a_published_port_is_reached_and_sees_the_neighbours_own_address,
    row_30_a_router_advertisement_changes_nothing_in_a_pod,
    row_30_a_pod_whose_bridge_somebody_deleted_is_no_router_of_the_host,
    row_30_foreign_traffic_to_a_published_port_number_goes_where_it_was_going,
    row_30_a_reload_under_load_leaves_nothing_open_and_ports_come_back,
    an_internal_network_has_its_own_pods_names_and_the_host_alone,
    pods_of_networks_reach_each_other_by_published_ports_and_isolated_ones_never,
    an_alias_where_there_are_no_names_is_refused,
}

fn run(program: &str, words: &[&str]) -> String {
    let output = std::process::Command::new(program).args(words).output().expect(program);
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {words:?}: {text}");
    text
}

/// Counts, before any rule of ours, what comes in and matches: that somebody really tried.
fn count(what: &str) {
    let line = "add table inet tried; add chain inet tried seen { type filter hook prerouting priority -500; }";
    run("nft", &[line]);
    run("nft", &[&format!("add rule inet tried seen {what} counter")]);
}

/// That everything counted was there.
fn all_were_tried() {
    let seen = run("nft", &["list", "table", "inet", "tried"]);
    assert!(seen.contains("counter packets") && !seen.contains("counter packets 0 "), "{seen}");
}

/// Runs a container without anything in it that serves: the test does, in its namespace.
fn has(node: &Node, name: &'static str, options: &str) -> Machine {
    node.says(&format!("run -d --name {name} {options} busybox sleep 1000")).ok();
    Machine::of(node, name)
}

/// A container's addresses on its first network.
fn addresses(node: &Node, name: &str) -> [String; 2] {
    let settings = node.inspect(name)["NetworkSettings"].clone();
    ["IPAddress", "GlobalIPv6Address"].map(|it| {
        let address = settings[it].as_str().unwrap_or_default().to_owned();
        assert!(!address.is_empty(), "{name} has no {it}: {settings}");
        address
    })
}

fn both(of: &[String; 2]) -> [&str; 2] {
    [&of[0], &of[1]]
}

fn row_30_loopback_services_are_reached_by_nobody_else(node: &Node) {
    node.has_busybox();
    let web = has(node, "web", "-p 8080:80");
    let rogue = has(node, "rogue", "");
    web.serve("127.0.0.1", 81);
    web.serve("::1", 81);
    for address in ["127.0.0.1", "::1"] {
        tell(TcpListener::bind((address, 82)).expect("a listener"), "the node's own");
        assert!(web.ask(address, 81).is_some() && ask(address, 82).is_some(), "{address}");
    }
    let neighbour = Machine::neighbour(node, "web");
    let (web4, web6) = (node.address("web"), addresses(node, "web")[1].clone());
    // Each sends loopback's addresses by way of the node; the other pod then straight to the first, too.
    let settings = node.inspect("rogue")["NetworkSettings"].clone();
    let gateways = ["Gateway", "IPv6Gateway"].map(|it| settings[it].as_str().expect(it).to_owned());
    for (machine, ways) in
        [(&neighbour, vec![HOST]), (&rogue, vec![both(&gateways), [web4.as_str(), web6.as_str()]])]
    {
        machine.ip("addr flush dev lo");
        machine.set("ipv4/conf/all/route_localnet", "1");
        for [way, way6] in ways {
            machine.ip(&format!("route replace 127.0.0.0/8 via {way} dev eth0"));
            machine.ip(&format!("-6 route replace ::1 via {way6} dev eth0"));
            assert_eq!(machine.answering(&["127.0.0.1", "::1"], &[81, 82, 8080]), [""; 0], "{way}");
        }
    }
    // Nor by an address that is not loopback's.
    let own = [web4.as_str(), web6.as_str()];
    for machine in [&neighbour, &rogue] {
        assert_eq!(machine.answering(&own, &[81, 82]), [""; 0]);
        assert_eq!(machine.answering(&HOST, &[81, 82]), [""; 0]);
    }
    // It was really sent, that for 127.0.0.1 (::1 the kernel drops before any rule could count it).
    for interface in ["lan0", "sandbar0"] {
        count(&format!("iifname {interface} ip daddr 127.0.0.1"));
        let machine = if interface == "lan0" { &neighbour } else { &rogue };
        let way = if interface == "lan0" { HOST[0] } else { &gateways[0] };
        machine.ip(&format!("route replace 127.0.0.0/8 via {way} dev eth0"));
        assert_eq!(machine.answering(&["127.0.0.1"], &[82]), [""; 0]);
    }
    all_were_tried();
    node.says("rm -f web rogue").ok();
}

fn row_30_an_unpublished_port_is_not_reached_by_who_knows_the_route(node: &Node) {
    node.has_busybox();
    let web = has(node, "web", "-p 8080:80 -p 127.0.0.1:8083:83 -p [::1]:8083:83");
    for port in [80, 81, 83] {
        web.serve("::", port);
    }
    let neighbour = Machine::neighbour(node, "web");
    let own = addresses(node, "web");
    for (family, address) in ["ip", "ip6"].iter().zip(&own) {
        count(&format!("iifname lan0 {family} daddr {address}"));
    }
    // Port 80 of the pod is published, but at the node's addresses.
    assert_eq!(neighbour.answering(&both(&own), &[80, 81, 83, 8080]), [""; 0]);
    // What is published to the node itself is the node's own.
    assert_eq!(neighbour.answering(&HOST, &[80, 81, 83, 8083]), [""; 0]);
    assert!(ask("127.0.0.1", 8083).is_some());
    all_were_tried();
    for address in both(&own) {
        assert!(ask(address, 81).is_some(), "the node itself reaches {address}");
    }
    node.says("rm -f web").ok();
}

fn row_30_a_published_port_is_reached_and_sees_the_neighbours_own_address(node: &Node) {
    node.has_busybox();
    node.says("network create --ipv6 one").ok();
    for network in ["bridge", "one"] {
        let web = has(node, "web", &format!("-p 8080:80 --network {network}"));
        web.serve("::", 80);
        let neighbour = Machine::neighbour(node, "web");
        for (host, own) in HOST.iter().zip(NEIGHBOUR) {
            let seen = neighbour.ask(host, 8080);
            assert_eq!(seen, Some(format!("web {own}")), "{network} {host}");
        }
        ip("link delete lan0");
        node.says("rm -f web").ok();
    }
    node.says("network rm one").ok();
}

/// Sends a router's advertisement (RFC 4861, 4.2) of itself and of 2001:db8:bad::/64 to all on the link.
fn advertise() {
    use rustix::net::{
        AddressFamily, SendFlags, SocketType, ipproto, netdevice, sendto, socket, sockopt,
    };
    let socket =
        socket(AddressFamily::INET6, SocketType::RAW, Some(ipproto::ICMPV6)).expect("a socket");
    sockopt::set_ipv6_multicast_hops(&socket, 255).expect("hops");
    let mut message = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend([3, 4, 64, 0xc0, 0, 0, 7, 8, 0, 0, 7, 8, 0, 0, 0, 0]);
    message.extend("2001:db8:bad::".parse::<Ipv6Addr>().expect("an address").octets());
    let index = netdevice::name_to_index(&socket, "eth0").expect("eth0");
    let all = SocketAddrV6::new("ff02::1".parse().expect("an address"), 0, 0, index);
    sendto(&socket, &message, SendFlags::empty(), &all).expect("sent");
}

fn row_30_a_router_advertisement_changes_nothing_in_a_pod(node: &Node) {
    node.has_busybox();
    node.says("network create --ipv6 one").ok();
    for network in ["bridge", "one"] {
        let web = has(node, "web", &format!("--network {network}"));
        let rogue = has(node, "rogue", &format!("--cap-add NET_RAW --network {network}"));
        let seen = || {
            let own = ["-6 route", "-6 -o addr", "route"].map(|what| web.ip(what));
            (own, ip("-6 route show default"), ip("-6 -o addr"))
        };
        let before = seen();
        for _ in 0..3 {
            rogue.inside(advertise);
        }
        thread::sleep(Duration::from_millis(300));
        assert_eq!(seen(), before, "{network}");
        // That it would have had an effect shows that it was sent.
        web.set("ipv6/conf/eth0/accept_ra", "2");
        web.set("ipv6/conf/eth0/autoconf", "1");
        until("that one is listened to", SOON, || {
            rogue.inside(advertise);
            web.ip("-6 -o addr").contains("2001:db8:bad:").then_some(())
        });
        node.says("rm -f web rogue").ok();
    }
    node.says("network rm one").ok();
}

fn row_30_a_pod_whose_bridge_somebody_deleted_is_no_router_of_the_host(node: &Node) {
    node.has_busybox();
    node.says("network create --interface-name four four").ok();
    let rogue = has(node, "rogue", "--cap-add NET_RAW --network four");
    // The host forwards IPv6 from now on; whatever listens to routers is told to go on.
    node.says("run --rm busybox true").ok();
    rogue.set("ipv6/conf/eth0/accept_dad", "0");
    rogue.set("ipv6/conf/eth0/disable_ipv6", "0");
    // Nobody is there to put it back on a bridge.
    node.supervisor("rogue").signal(Signal::KILL);
    ip("link delete four");
    let seen = || (ip("-6 route show default"), ip("-6 -o addr"));
    let before = seen();
    for _ in 0..3 {
        rogue.inside(advertise);
    }
    thread::sleep(Duration::from_millis(300));
    assert_eq!(seen(), before);
    node.says("rm -f rogue").ok();
    node.says("network rm four").ok();
}

fn row_30_foreign_traffic_to_a_published_port_number_goes_where_it_was_going(node: &Node) {
    const FAR: [&str; 2] = ["198.51.100.2", "2001:db8:f::2"];
    node.has_busybox();
    let web = has(node, "web", "-p 8080:80");
    web.serve("::", 80);
    let neighbour = Machine::neighbour(node, "web");
    let far = Machine::beside("far", ["198.51.100.1", "2001:db8:f::1"], FAR);
    far.serve("::", 8080);
    for (machine, version, way) in [
        (&neighbour, "", HOST[0]),
        (&neighbour, "-6 ", HOST[1]),
        (&far, "", "198.51.100.1"),
        (&far, "-6 ", "2001:db8:f::1"),
    ] {
        machine.ip(&format!("{version}route add default via {way}"));
    }
    let far_sees = |own: &str| Some(format!("far {own}"));
    for (number, address) in FAR.into_iter().enumerate() {
        assert_eq!(neighbour.ask(address, 8080), far_sees(NEIGHBOUR[number]), "{address}");
        // A pod's, too, with the node's address; and the node's own.
        let of_node = ["198.51.100.1", "2001:db8:f::1"][number];
        assert_eq!(web.ask(address, 8080), far_sees(of_node), "{address}");
        assert_eq!(ask(address, 8080), far_sees(of_node), "{address}");
    }
    assert_eq!(neighbour.ask(HOST[0], 8080), Some(format!("web {}", NEIGHBOUR[0])));
    node.says("rm -f web").ok();
}

fn row_30_a_reload_under_load_leaves_nothing_open_and_ports_come_back(node: &Node) {
    node.has_busybox();
    let web = has(node, "web", "-p 8080:80");
    web.serve("::", 80);
    web.serve("::", 81);
    let neighbour = Machine::neighbour(node, "web");
    let own = addresses(node, "web");
    let over = AtomicBool::new(false);
    let load = |address: &str, port: u16| {
        let mut answered = 0;
        while !over.load(Ordering::Relaxed) {
            let answer = neighbour.inside(|| ask_within(address, port, Duration::from_millis(50)));
            answered += usize::from(answer.is_some());
        }
        answered
    };
    let (opened, served) = thread::scope(|scope| {
        let at = |address, port| scope.spawn(move || load(address, port));
        let unpublished: Vec<_> = both(&own).map(|address| at(address, 81)).into_iter().collect();
        let published: Vec<_> = HOST.map(|address| at(address, 8080)).into_iter().collect();
        for round in 0..5 {
            run("nft", &["flush", "ruleset"]);
            let flushed = Instant::now();
            for (host, own) in HOST.iter().zip(NEIGHBOUR) {
                until("the port", SOON, || {
                    let patience = Duration::from_millis(100);
                    let seen = neighbour.inside(|| ask_within(host, 8080, patience))?;
                    (seen == format!("web {own}")).then_some(())
                });
            }
            let took = flushed.elapsed();
            println!("measured: back after {took:?}");
            assert!(took < Duration::from_secs(1), "{took:?}");
            // The rules are there from before the ports on.
            assert_eq!(neighbour.answering(&both(&own), &[81]), [""; 0], "round {round}");
        }
        over.store(true, Ordering::Relaxed);
        let sum = |all: Vec<thread::ScopedJoinHandle<'_, usize>>| -> usize {
            all.into_iter().map(|it| it.join().expect("a thread")).sum()
        };
        (sum(unpublished), sum(published))
    });
    println!(
        "measured: {opened} of the unpublished port while there were no rules, {served} of the other"
    );
    assert!(served > 0);
    node.says("rm -f web").ok();
}

fn exec(node: &Node, container: &str, script: &str) -> sandbar_tests::Output {
    node.sandbar(["exec", container, "sh", "-c", script]).run()
}

fn an_internal_network_has_its_own_pods_names_and_the_host_alone(node: &Node) {
    node.has_busybox();
    node.says("network create --internal --ipv6 inner").ok();
    let web = has(node, "web", "--network inner --network-alias www");
    let mate = has(node, "mate", "--cap-add NET_RAW --network inner");
    let other = has(node, "other", "-p 8081:80");
    for machine in [&web, &other] {
        machine.serve("::", 80);
    }
    let neighbour = Machine::neighbour(node, "web");
    neighbour.serve("::", 80);
    let own = addresses(node, "web");
    // Nothing out.
    assert_eq!(web.answering(&NEIGHBOUR, &[80]), [""; 0]);
    assert_eq!(web.answering(&both(&addresses(node, "other")), &[80]), [""; 0]);
    assert_eq!(web.answering(&HOST, &[8081]), [""; 0]);
    // Nothing in; a published port, by which somebody could, is refused.
    for machine in [&neighbour, &other] {
        assert_eq!(machine.answering(&both(&own), &[80]), [""; 0]);
    }
    node.says("create -p 8080:80 --network inner busybox true").refused(125, &["inner", "port"]);
    node.says("port add web 8080:80").refused(1, &["inner", "port"]);
    // But from the node, and from each other.
    for address in [own[0].as_str(), &own[1]] {
        assert!(ask(address, 80).is_some() && mate.ask(address, 80).is_some(), "{address}");
    }
    for name in ["web", "www", "www.inner", "web.dns.sandbar"] {
        let found = exec(node, "mate", &format!("ping -c 1 -W 2 {name}"));
        assert!(found.stdout().contains(&own[0]) || found.stdout().contains(&own[1]), "{found}");
    }
    for name in ["example.com.", "other.", "nobody.dns.sandbar."] {
        let found = exec(node, "mate", &format!("nslookup {name}"));
        assert_ne!(found.exit_code(), 0, "{found}");
        assert!(found.stdout().contains("NXDOMAIN"), "{found}");
    }
    // Who has another network, too, finds its pods, which for their part know no more of the world than before.
    node.says("network connect inner other").ok();
    let found = exec(node, "other", "nslookup web.dns.sandbar");
    assert!(found.stdout().contains(&own[0]), "{found}");
    assert!(other.ask(&own[0], 80).is_some());
    let found = exec(node, "mate", "nslookup example.com.");
    assert!(found.stdout().contains("NXDOMAIN"), "{found}");
    node.says("rm -f web mate other").ok();
    node.says("network rm inner").ok();
}

fn pods_of_networks_reach_each_other_by_published_ports_and_isolated_ones_never(node: &Node) {
    node.has_busybox();
    node.says("network create --ipv6 one").ok();
    node.says("network create --ipv6 --isolate apart").ok();
    let web = has(node, "web", "-p 8080:80");
    let shop = has(node, "shop", "--network one -p 8081:80");
    let hermit = has(node, "hermit", "--network apart -p 8082:80");
    let monk = has(node, "monk", "--network apart");
    let all = [&web, &shop, &hermit];
    for machine in all {
        machine.serve("::", 80);
    }
    let neighbour = Machine::neighbour(node, "hermit");
    for from in all {
        for to in all.into_iter().filter(|to| to.name != from.name) {
            let own = addresses(node, to.name);
            assert_eq!(from.answering(&both(&own), &[80]), [""; 0], "straight to {}", to.name);
        }
    }
    for host in HOST {
        assert!(web.ask(host, 8081).is_some() && shop.ask(host, 8080).is_some(), "{host}");
        assert!(neighbour.ask(host, 8082).is_some(), "isolation is from pods: {host}");
    }
    assert_eq!(hermit.answering(&HOST, &[8080, 8081]), [""; 0]);
    for machine in [&web, &shop] {
        assert_eq!(machine.answering(&HOST, &[8082]), [""; 0]);
    }
    for address in addresses(node, "hermit") {
        assert!(monk.ask(&address, 80).is_some(), "of one network: {address}");
    }
    node.says("rm -f web shop hermit monk").ok();
    node.says("network rm one apart").ok();
}

fn an_alias_where_there_are_no_names_is_refused(node: &Node) {
    node.has_busybox();
    node.says("network create --disable-dns quiet").ok();
    node.says("network create --internal --disable-dns inner").ok();
    for network in ["quiet", "inner"] {
        let run = format!("run --rm --network {network} --network-alias db busybox true");
        node.says(&run).refused(125, &[network, "no names", "db"]);
        node.says(&format!("run --rm --network {network}:alias=db busybox true"))
            .refused(125, &[network, "no names"]);
    }
    node.says("run -d --name a busybox sleep 1000").ok();
    node.says("network connect --alias db quiet a").refused(1, &["quiet", "no names"]);
    assert_eq!(node.says("ps -aq").ok().lines().count(), 1, "nothing is left of the others");
    node.says("rm -f a").ok();
    assert_eq!(node.says("network prune -f").ok().lines().count(), 2);
}
