//! Published ports: who reaches them, and what happens when they are taken.

use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use sandbar_tests::{Node, SOON, get, living, tests, until};

tests! {
    a_port_is_reached_from_the_node_at_all_its_addresses_and_from_pods,
    a_port_is_reached_over_ipv6_too,
    a_port_at_one_address_is_reached_there_alone,
    a_udp_port_is_reached [Perl],
    two_protocols_have_a_port_each,
    a_port_that_a_program_of_the_host_has_is_refused_and_nothing_is_left,
    a_port_that_a_pod_has_is_refused_and_names_it,
    of_ten_pods_that_want_one_port_one_gets_it,
    ports_come_back_after_stop_and_start,
    a_host_program_can_have_the_port_when_the_pod_is_gone,
    a_random_port_is_kept_for_the_pods_life,
    all_exposed_ports_are_published_if_asked_for,
    one_that_is_free_is_taken_of_a_range,
    ranges_of_thousands_are_published_whole,
    more_ports_than_descriptors_are_refused_before_anything_is_made,
    a_container_has_no_more_descriptors_for_its_pods_ports,
    what_no_port_can_be_is_refused,
}

const SERVE: &str = "mkdir -p /srv; hostname >/srv/index.html; exec httpd -f -p 80 -h /srv";

fn serves(node: &Node, name: &str, ports: &str) {
    node.says(&format!("run -d --name {name} --hostname {name} {ports} busybox sh -c"))
        .with([SERVE])
        .ok();
    let address = node.address(name);
    until("that it serves", SOON, || get(&format!("{address}:80"), "/"));
}

fn body(address: &str) -> Option<String> {
    get(address, "/").map(|answer| answer.body)
}

fn a_port_is_reached_from_the_node_at_all_its_addresses_and_from_pods(node: &Node) {
    node.has_busybox();
    serves(node, "web", "-p 8080:80");
    for address in ["127.0.0.1", Node::ADDRESS, "127.0.0.2"] {
        assert_eq!(body(&format!("{address}:8080")).as_deref(), Some("web\n"), "{address}");
    }
    let gateway =
        node.inspect("web")["NetworkSettings"]["Gateway"].as_str().unwrap_or("").to_owned();
    assert_eq!(body(&format!("{gateway}:8080")).as_deref(), Some("web\n"), "{gateway}");

    node.says("run -d --name other busybox sleep 1000").ok();
    for (address, port) in
        [(node.address("web"), 80), (Node::ADDRESS.to_owned(), 8080), (gateway, 8080)]
    {
        // The pod itself, too, by way of its own published port.
        for client in ["other", "web"] {
            let ask = format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} {port}");
            let got = node.sandbar(["exec", client, "sh", "-c", &ask]).ok();
            assert!(got.ends_with("\r\n\r\nweb\n"), "{address}:{port} from {client}: {got}");
        }
    }
    let ports = node.inspect("web")["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"].clone();
    assert_eq!(ports, "8080");
    node.says("rm -f web other").ok();
}

fn a_port_is_reached_over_ipv6_too(node: &Node) {
    node.has_busybox();
    node.run("/bin/busybox", ["ip", "addr", "add", "fd00:1::1/128", "dev", "lo"]).ok();
    // Where bridges call netfilter, the kernel drops what comes back to ::1, and it is relayed (loopback6.rs).
    let called = std::path::Path::new("/proc/sys/net/bridge/bridge-nf-call-ip6tables");
    if called.exists() {
        std::fs::write(called, "0").expect("a setting of the node's own");
    }
    serves(node, "web", "-p 8080:80 -p [::1]:8081:80 -p 0.0.0.0:8082:80");
    let settings = node.inspect("web")["NetworkSettings"].clone();
    let own = settings["GlobalIPv6Address"].as_str().expect("an address").to_owned();
    let gateway = settings["IPv6Gateway"].as_str().expect("a gateway").to_owned();
    for (address, answers) in [
        ("[::1]:8080".to_owned(), true),
        ("[fd00:1::1]:8080".to_owned(), true),
        (format!("[{gateway}]:8080"), true),
        (format!("[{own}]:80"), true),
        ("[::1]:8081".to_owned(), true),
        ("[fd00:1::1]:8081".to_owned(), false),
        ("127.0.0.1:8082".to_owned(), true),
        ("[::1]:8082".to_owned(), false),
    ] {
        assert_eq!(body(&address).is_some(), answers, "{address}");
    }
    // From itself by way of the host, and from another pod.
    node.says("run -d --name other busybox sleep 1000").ok();
    for client in ["web", "other"] {
        let ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 fd00:1::1 8080";
        let got = node.sandbar(["exec", client, "sh", "-c", ask]).ok();
        assert!(got.ends_with("\r\n\r\nweb\n"), "from {client}: {got}");
    }
    assert!(node.says("ps").ok().contains("[::]:8080->80/tcp"));
    if called.exists() {
        std::fs::write(called, "1").expect("a setting of the node's own");
        node.says("run --rm busybox true").ok();
        assert_eq!(
            body("[::1]:8080"),
            None,
            "refused, not left hanging: it was not relayed before"
        );
        assert!(body("127.0.0.1:8080").is_some());
        assert!(node.says("info").ok().contains("::1"), "info tells it");
        node.says("rm -f web").ok();
        serves(node, "web", "-p 8080:80");
        assert_eq!(body("[::1]:8080").as_deref(), Some("web\n"));
    }
    node.says("rm -f web other").ok();
}

fn a_port_at_one_address_is_reached_there_alone(node: &Node) {
    node.has_busybox();
    serves(node, "one", "-p 127.0.0.1:8080:80");
    serves(node, "two", "-p 192.0.2.1:8080:80");
    assert_eq!(body("127.0.0.1:8080").as_deref(), Some("one\n"));
    assert_eq!(body("192.0.2.1:8080").as_deref(), Some("two\n"));
    assert_eq!(body("127.0.0.2:8080"), None);
    node.says("rm -f one two").ok();
}

fn a_udp_port_is_reached(node: &Node) {
    let script = "socket(S, PF_INET, SOCK_DGRAM, 0) && bind(S, sockaddr_in(5353, INADDR_ANY)) or die; \
                  while ($from = recv(S, $text, 16, 0)) { send(S, $text, 0, $from) }";
    let run = node.says("run -d --name echo -p 5300:5353/udp --rootfs / perl -MSocket -e");
    run.with([script]).ok();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    until("an echo", SOON, || {
        socket.send_to(b"hello", "127.0.0.1:5300").ok()?;
        let mut buffer = [0; 16];
        let (length, from) = socket.recv_from(&mut buffer).ok()?;
        assert_eq!(from.to_string(), "127.0.0.1:5300", "the answer comes from whom was asked");
        (buffer[..length] == *b"hello").then_some(())
    });
    node.says("rm -f echo").ok();
}

fn two_protocols_have_a_port_each(node: &Node) {
    node.has_busybox();
    serves(node, "tcp", "-p 8080:80");
    node.says("run -d --name udp -p 8080:80/udp busybox sleep 1000").ok();
    assert!(node.says("ps").ok().contains("0.0.0.0:8080->80/udp"));
    assert_eq!(body("127.0.0.1:8080").as_deref(), Some("tcp\n"));
    node.says("rm -f tcp udp").ok();
}

fn a_port_that_a_program_of_the_host_has_is_refused_and_nothing_is_left(node: &Node) {
    node.has_busybox();
    let listener = TcpListener::bind("0.0.0.0:8080").expect("a listener");
    let own = format!("process {} (", std::process::id());
    node.says("run -d --rm --name a -p 8080:80 busybox sleep 1000")
        .refused(125, &["8080", &own, "choose"]);
    assert_eq!(node.says("ps -aq").ok(), "");
    node.says("pod create --name p -p 8080:80").run();
    node.says("pod start p").run();
    let processes = living();
    assert!(processes.is_empty(), "{processes:?}");
    node.says("pod rm -f p").ok();
    drop(listener);
    let local = TcpListener::bind("127.0.0.1:8081").expect("a listener");
    node.says("run -d --rm --name a -p 8081:80 busybox sleep 1000").refused(125, &["8081"]);
    drop(local);
    let datagrams = UdpSocket::bind("0.0.0.0:8082").expect("a socket");
    node.says("run -d --rm --name a -p 8082:80/udp busybox sleep 1000")
        .refused(125, &["8082", &own]);
    drop(datagrams);
    node.says("run -d --rm --name a -p 8080:80 -p 8081:81 busybox sleep 1000").ok();
    node.says("rm -f a").ok();
}

fn a_port_that_a_pod_has_is_refused_and_names_it(node: &Node) {
    node.has_busybox();
    serves(node, "first", "-p 8080:80");
    let second = "run -d --rm --name second -p 8081:80 -p 8080:80 busybox sleep 1000";
    node.says(second).refused(125, &["8080", "first"]);
    node.says("run -d --rm --name second -p 127.0.0.1:8080:80 busybox sleep 1000")
        .refused(125, &["8080"]);
    assert_eq!(node.says("ps -aq").ok().lines().count(), 1);
    assert_eq!(body("127.0.0.1:8080").as_deref(), Some("first\n"), "the first is not disturbed");
    node.says("rm -f first").ok();
    node.says(second).ok();
    node.says("rm -f second").ok();
}

fn of_ten_pods_that_want_one_port_one_gets_it(node: &Node) {
    node.has_busybox();
    for round in 0..3 {
        let run = || node.says("run -d --rm -p 8080:80 busybox sleep 1000").run().exit_code();
        let outcomes: Vec<i32> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..10).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
        });
        assert_eq!(
            outcomes.iter().filter(|&&code| code == 0).count(),
            1,
            "round {round}: {outcomes:?}"
        );
        assert_eq!(
            outcomes.iter().filter(|&&code| code == 125).count(),
            9,
            "round {round}: {outcomes:?}"
        );
        let left = node.says("ps -aq").ok();
        assert_eq!(left.lines().count(), 1, "{left}");
        node.sandbar(["rm", "-f", left.trim_end()]).ok();
    }
}

fn ports_come_back_after_stop_and_start(node: &Node) {
    node.has_busybox();
    serves(node, "web", "-p 8080:80");
    let address = node.address("web");
    for _ in 0..3 {
        node.says("stop -t 0 web").ok();
        assert_eq!(body("127.0.0.1:8080"), None);
        node.says("start web").ok();
        until("an answer", SOON, || body("127.0.0.1:8080").filter(|it| it == "web\n"));
        assert_eq!(node.address("web"), address);
    }
    node.says("rm -f web").ok();
}

fn a_host_program_can_have_the_port_when_the_pod_is_gone(node: &Node) {
    node.has_busybox();
    serves(node, "web", "-p 8080:80");
    let taken = TcpListener::bind("0.0.0.0:8080");
    assert!(taken.is_err(), "a program of the host could take a published port");
    node.says("rm -f web").ok();
    drop(TcpListener::bind("0.0.0.0:8080").expect("a free port"));
}

fn host_ports(node: &Node, name: &str, port: &str) -> Vec<u16> {
    let found = node.inspect(name)["NetworkSettings"]["Ports"][port].clone();
    let bindings = found.as_array().cloned().unwrap_or_default();
    let number = |binding: &serde_json::Value| binding["HostPort"].as_str()?.parse().ok();
    // One for each version of IP.
    let mut numbers: Vec<u16> = bindings.iter().filter_map(number).collect();
    numbers.dedup();
    numbers
}

fn a_random_port_is_kept_for_the_pods_life(node: &Node) {
    node.has_busybox();
    serves(node, "one", "-p 80");
    serves(node, "two", "-p 127.0.0.1::80");
    let [one, two] = ["one", "two"].map(|name| host_ports(node, name, "80/tcp")[0]);
    assert_ne!(one, two);
    for _ in 0..2 {
        assert_eq!(body(&format!("127.0.0.1:{one}")).as_deref(), Some("one\n"));
        assert_eq!(body(&format!("127.0.0.1:{two}")).as_deref(), Some("two\n"));
        assert_eq!(body(&format!("{}:{two}", Node::ADDRESS)), None);
        node.says("stop -t 0 one").ok();
        node.says("start one").ok();
        assert_eq!(host_ports(node, "one", "80/tcp"), [one]);
        until("an answer", SOON, || body(&format!("127.0.0.1:{one}")));
    }
    // Of pods that don't run either, no two get one random port.
    let names: Vec<String> = (0..16).map(|number| format!("c{number}")).collect();
    std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "50000 50040").expect("a range");
    std::thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| {
                node.sandbar(["create", "--name", name, "-p", "80", "-p", "90", "busybox"]).ok()
            });
        }
    });
    let lines: String = names.iter().map(|name| node.says("port ls").with([name]).ok()).collect();
    let mut ports: Vec<&str> = lines.lines().filter_map(|line| line.split("->").next()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 32, "{lines}");
    node.says("run --rm -p 80-99 busybox true").refused(125, &["50000 to 50040"]);
    node.sandbar(["rm", "-f", "one", "two"]).with(names).ok();
}

fn all_exposed_ports_are_published_if_asked_for(node: &Node) {
    node.has_busybox();
    let listens = ["EXPOSE 80 5353/udp 3868/sctp", r#"CMD ["sh"]"#];
    node.import("listens", sandbar_tests::Rootfs::busybox(), &listens);
    let serve = "mkdir -p /srv; hostname >/srv/index.html; exec httpd -f -p 80 -h /srv";
    let run = "run -d --name web --hostname web -P --expose 7000-7001 -p 8081:7001 listens sh -c";
    node.says(run).with([serve]).ok();
    for (port, count) in
        [("80/tcp", 1), ("5353/udp", 1), ("3868/sctp", 1), ("7000/tcp", 0), ("7001/tcp", 1)]
    {
        assert_eq!(host_ports(node, "web", port).len(), count, "{port}");
    }
    assert_eq!(host_ports(node, "web", "7001/tcp"), [8081]);
    let port = host_ports(node, "web", "80/tcp")[0];
    until("an answer", SOON, || body(&format!("127.0.0.1:{port}")).filter(|it| it == "web\n"));
    node.says("run -d --name shown --expose 9000/udp listens sleep 1000").ok();
    let listed = node.says("ps").ok();
    assert!(
        listed.contains("80/tcp, 3868/sctp") || listed.contains("80/tcp, 5353/udp"),
        "{listed}"
    );
    assert!(node.inspect("shown")["NetworkSettings"]["Ports"]["9000/udp"].is_null());
    assert!(node.inspect("shown")["Config"]["ExposedPorts"]["9000/udp"].is_object());
    node.says("rm -f web shown").ok();
}

fn one_that_is_free_is_taken_of_a_range(node: &Node) {
    node.has_busybox();
    let taken = TcpListener::bind("0.0.0.0:8000").expect("a listener");
    for (name, expected) in [("a", 8001), ("b", 8002)] {
        node.says(&format!("run -d --name {name} -p 8000-8002:80 busybox sleep 1000")).ok();
        assert_eq!(host_ports(node, name, "80/tcp"), [expected]);
    }
    node.says("run --rm -p 8000-8002:80 busybox true").refused(125, &["8000 to 8002"]);
    drop(taken);
    node.says("rm -f a b").ok();
}

fn ranges_of_thousands_are_published_whole(node: &Node) {
    node.has_busybox();
    let began = std::time::Instant::now();
    serves(node, "many", "-p 20000-25999:20000-25999 -p 30000-33999:30000-33999/udp -p 8080:80");
    eprintln!("10,001 ports of a pod after {:?}", began.elapsed());
    for port in [20000, 23456, 25999] {
        let serve = format!("httpd -p {port} -h /srv");
        node.says("exec many sh -c").with([serve]).ok();
        let answer = until("an answer", SOON, || body(&format!("127.0.0.1:{port}")));
        assert_eq!(answer, "many\n", "{port}");
    }
    let listed = node.says("ps").ok();
    assert!(listed.contains("0.0.0.0:20000-25999->20000-25999/tcp"), "{listed}");
    assert!(listed.contains("0.0.0.0:30000-33999->30000-33999/udp"), "{listed}");
    for port in [20000, 25999] {
        assert!(TcpListener::bind(("0.0.0.0", port)).is_err(), "{port}");
    }
    assert!(UdpSocket::bind("0.0.0.0:33999").is_err());
    node.says("run --rm -p 25999:80 busybox true").refused(125, &["25999", "many"]);
    node.says("stop -t 0 many").ok();
    drop(TcpListener::bind("0.0.0.0:25999").expect("a free port"));
    node.says("start many").ok();
    node.says("rm -f many").ok();
}

fn more_ports_than_descriptors_are_refused_before_anything_is_made(node: &Node) {
    node.has_busybox();
    let script = "ulimit -n 1000; exec \"$@\"";
    let sandbar = node.program().display().to_string();
    let run = "run -d --name a -p 1-2000:1-2000 busybox true";
    let words = ["-c", script, "sh", &sandbar].into_iter().chain(run.split(' '));
    node.run("/bin/sh", words).refused(125, &["2000 ports", "1000", "ulimit"]);
    assert_eq!(node.says("ps -aq").ok(), "");
    assert_eq!(node.says("pod ps -aq").ok(), "");
}

fn a_container_has_no_more_descriptors_for_its_pods_ports(node: &Node) {
    node.has_busybox();
    let script = "ulimit -Sn 1000; exec \"$@\"";
    let sandbar = node.program().display().to_string();
    let run = "run -d --name a -p 20000-22000:20000-22000 busybox";
    let words = ["-c", script, "sh", &sandbar].into_iter().chain(run.split(' '));
    node.run("/bin/sh", words).with(["sh", "-c", "ulimit -Sn; exec sleep 1000"]).ok();
    node.prints("a", "1000\n");
    assert_eq!(
        node.says("exec a sh -c").with(["ulimit -Sn; ls /proc/self/fd | wc -l"]).ok(),
        "1000\n4\n"
    );
    node.says("rm -f a").ok();
}

fn what_no_port_can_be_is_refused(node: &Node) {
    node.has_busybox();
    for (port, word) in [
        ("0:80", "1 to 65535"),
        ("65536:80", "1 to 65535"),
        ("70000", "1 to 65535"),
        ("8080:80/icmp", "tcp, udp or sctp"),
        ("8080:80/tcp,udp", "one at a time"),
        ("90-80:90-80", "goes down"),
        ("80-82:80-81", "the container 2"),
        ("::1:8080:80", "[::1]:8080:80"),
        ("[::g]:8080:80", "IPv6"),
        ("nowhere:8080:80", "IPv4"),
    ] {
        node.sandbar(["run", "--rm", "-p", port, "busybox", "true"])
            .refused(125, &["-p", port, word]);
    }
    let elsewhere = "run --rm -p 203.0.113.7:8080:80 busybox true";
    node.says(elsewhere).refused(125, &["203.0.113.7 is not an address of the host"]);
    node.says("run --rm -p 8080:80 -p 8080:81 busybox true").refused(125, &["8080"]);
    node.says("run --rm -p 8080-8089:80-89 -p 127.0.0.1:8089:1 busybox true")
        .refused(125, &["8080-8089", "8089"]);
    for option in ["-p 8080:80", "-P"] {
        for net in ["none", "host"] {
            node.says(&format!("run --rm --net {net} {option} busybox true"))
                .refused(125, &["--network"]);
        }
    }
    node.says("run -d --name a busybox sleep 1000").ok();
    node.says("run --rm --net container:a -p 8080:80 busybox true").refused(125, &["-p", "pod"]);
    node.says("run --rm --net container:a -P busybox true").refused(125, &["-P", "pod"]);
    node.says("rm -f a").ok();
}
