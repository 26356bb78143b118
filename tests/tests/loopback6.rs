//! Published ports by `::1`, where the kernel can't translate it: relayed by the pod's supervisor.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sandbar_tests::{Node, Output, SOON, tests, until};

tests! {
    a_connection_is_relayed_both_ways_and_its_ends_one_by_one,
    many_connections_are_relayed_at_once_and_slow_readers_lose_nothing,
    a_pod_without_ipv6_is_reached_by_its_ipv4_address,
    datagrams_are_relayed_and_answered_to_who_sent_them,
    a_port_at_one_other_address_is_not_relayed,
    a_port_that_nobody_serves_resets_who_comes,
    what_is_not_relayed_is_told,
    a_pod_that_began_before_bridges_call_netfilter_is_relayed_when_it_is_looked_after,
    ports_are_relayed_as_they_come_and_go,
    a_pods_first_network_has_its_ports_relayed,
    the_next_supervisor_relays_again,
    nobody_else_has_the_port_and_who_comes_past_the_rules_is_refused,
    a_port_is_free_after_relayed_connections_though_some_linger,
    more_connections_than_are_relayed_wait_for_their_turn,
    thousands_of_ports_are_relayed,
}

const CALLS: &str = "/proc/sys/net/bridge/bridge-nf-call-ip6tables";

/// A pod named `name` in which nothing serves but what the test has serve there.
fn has(node: &Node, name: &str, options: &str) {
    // On a kernel without `br_netfilter` there is nothing to relay, and all the same to see.
    if fs::exists(CALLS).is_ok_and(|it| it) {
        fs::write(CALLS, "1").expect("a setting of the node's own");
    }
    node.says(&format!("run -d --name {name} {options} busybox sleep 1000")).ok();
}

fn inside<T: Send>(node: &Node, name: &str, act: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(node.process(name).proc("ns/net")).expect("a namespace");
    thread::scope(|scope| {
        let entered = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("setns");
            act()
        });
        entered.join().expect("a thread")
    })
}

/// Has a pod send back what comes, and end when that ends.
fn echoes(node: &Node, name: &str, port: u16) {
    let listener = inside(node, name, || TcpListener::bind(("::", port)).expect("a listener"));
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut answers = client.try_clone().expect("a descriptor");
                _ = std::io::copy(&mut &client, &mut answers);
                _ = answers.shutdown(Shutdown::Write);
            });
        }
    });
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv6Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(SOON))?;
    stream.set_write_timeout(Some(SOON))?;
    Ok(stream)
}

/// Sends `bytes` and an end, and reads until the end that comes back.
fn echoed(port: u16, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let stream = connect(port)?;
    thread::scope(|scope| {
        let sent = scope.spawn(|| {
            (&stream).write_all(bytes)?;
            stream.shutdown(Shutdown::Write)
        });
        let mut got = Vec::new();
        let read = (&stream).read_to_end(&mut got);
        sent.join().expect("a thread")?;
        read.map(|_| got)
    })
}

fn is_echoed(port: u16) -> bool {
    echoed(port, b"hello").is_ok_and(|got| got == b"hello")
}

/// 1 MiB of which no two parts are alike.
fn much() -> Vec<u8> {
    (0..1_u32 << 18).flat_map(|n| n.wrapping_mul(2_654_435_761).to_ne_bytes()).collect()
}

fn a_connection_is_relayed_both_ways_and_its_ends_one_by_one(node: &Node) {
    node.has_busybox();
    has(node, "web", "-p 8080:80 -p [::1]:8081:80 -p [::]:8082:80");
    echoes(node, "web", 80);
    let bytes = much();
    for port in [8080, 8081, 8082] {
        assert!(echoed(port, &bytes).expect("an answer") == bytes, "{port}");
        // Small ones come at once, not with the end.
        let mut stream = connect(port).expect("a connection");
        for text in [*b"one", *b"two"] {
            stream.write_all(&text).expect("written");
            let mut got = [0; 3];
            stream.read_exact(&mut got).expect("an answer");
            assert_eq!(got, text);
        }
        // The end of what is sent is not the end of what comes.
        stream.write_all(b"last").expect("written");
        stream.shutdown(Shutdown::Write).expect("an end");
        let mut got = String::new();
        stream.read_to_string(&mut got).expect("all that was left");
        assert_eq!(got, "last");
    }
    node.says("rm -f web").ok();
}

fn many_connections_are_relayed_at_once_and_slow_readers_lose_nothing(node: &Node) {
    node.has_busybox();
    has(node, "web", "-p 8080:80");
    echoes(node, "web", 80);
    // Of this one nothing is read until the others are done.
    let slow = connect(8080).expect("a connection");
    let bytes = much();
    thread::scope(|scope| {
        let sends = scope.spawn(|| {
            for _ in 0..8 {
                (&slow).write_all(&bytes).expect("written");
            }
            slow.shutdown(Shutdown::Write).expect("an end");
        });
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| assert!(echoed(8080, &bytes).expect("an answer") == bytes));
            }
        });
        // Nor is the supervisor kept from its own work.
        node.says("exec web true").ok();
        for _ in 0..8 {
            let mut got = vec![0; bytes.len()];
            (&slow).read_exact(&mut got).expect("what was sent");
            assert!(got == bytes);
        }
        assert_eq!((&slow).read(&mut [0]).expect("the end"), 0);
        sends.join().expect("a thread");
    });
    node.says("rm -f web").ok();
}

fn a_pod_without_ipv6_is_reached_by_its_ipv4_address(node: &Node) {
    node.has_busybox();
    node.says("network create old").ok();
    has(node, "web", "--network old -p 8080:80");
    let settings = node.inspect("web")["NetworkSettings"]["Networks"]["old"].clone();
    assert_eq!(settings["GlobalIPv6Address"], "", "{settings}");
    echoes(node, "web", 80);
    assert!(is_echoed(8080));
    node.says("rm -f web").ok();
    node.says("network rm old").ok();
}

/// Has a pod send datagrams back, with `!`.
fn echoes_datagrams(node: &Node, name: &str, port: u16) {
    let socket = inside(node, name, || UdpSocket::bind(("::", port)).expect("a socket"));
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            buffer[length] = b'!';
            _ = socket.send_to(&buffer[..=length], from);
        }
    });
}

fn says(socket: &UdpSocket, port: u16, text: &[u8]) -> Option<Vec<u8>> {
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    socket.send_to(text, (Ipv6Addr::LOCALHOST, port)).ok()?;
    let mut buffer = vec![0; 1 << 16];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    assert_eq!((from.ip(), from.port()), (Ipv6Addr::LOCALHOST.into(), port), "who was asked");
    Some(buffer[..length].to_vec())
}

fn datagrams_are_relayed_and_answered_to_who_sent_them(node: &Node) {
    node.has_busybox();
    has(node, "dns", "-p 5300:53/udp -p [::1]:5301:53/udp");
    let socket = UdpSocket::bind("[::1]:0").expect("a socket");
    for port in [5300, 5301] {
        assert_eq!(says(&socket, port, b"anybody?"), None, "nobody is there yet");
    }
    echoes_datagrams(node, "dns", 53);
    for port in [5300, 5301] {
        assert_eq!(says(&socket, port, b"hello").as_deref(), Some(&b"hello!"[..]));
        assert_eq!(says(&socket, port, b"").as_deref(), Some(&b"!"[..]), "an empty one");
        let long = vec![b'a'; 9000];
        assert_eq!(says(&socket, port, &long).map(|got| got.len()), Some(9001));
    }
    // More than are remembered at once: the first has a new place then.
    let all: Vec<UdpSocket> =
        (0..600).map(|_| UdpSocket::bind("[::1]:0").expect("a socket")).collect();
    for (number, socket) in all.iter().chain(&all[..10]).enumerate() {
        let text = number.to_string();
        let got = until("an answer", SOON, || says(socket, 5300, text.as_bytes()));
        assert_eq!(got, format!("{text}!").as_bytes());
    }
    node.says("rm -f dns").ok();
}

fn a_port_at_one_other_address_is_not_relayed(node: &Node) {
    node.has_busybox();
    has(node, "web", "-p 127.0.0.1:8080:80 -p 0.0.0.0:8081:80 -p 192.0.2.1:8082:80");
    echoes(node, "web", 80);
    for port in [8080, 8081, 8082] {
        let error = connect(port).expect_err("a refusal");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{port}");
    }
    node.says("rm -f web").ok();
}

fn a_port_that_nobody_serves_resets_who_comes(node: &Node) {
    node.has_busybox();
    has(node, "web", "-p 8080:80");
    for _ in 0..100 {
        let came = connect(8080).and_then(|mut stream| stream.read(&mut [0]));
        let kind = came.expect_err("no answer").kind();
        let refusals = [ErrorKind::ConnectionReset, ErrorKind::ConnectionRefused];
        assert!(refusals.contains(&kind), "{kind:?}");
    }
    echoes(node, "web", 80);
    assert!(is_echoed(8080));
    node.says("rm -f web").ok();
}

fn what_is_not_relayed_is_told(node: &Node) {
    node.has_busybox();
    has(node, "web", "-p 8080:80");
    let is_needed = fs::exists(CALLS).is_ok_and(|it| it);
    let is_told = |told: Output, words: &[&str]| {
        assert_eq!(told.exit_code(), 0, "{told}");
        for word in words {
            assert_eq!(told.stderr().contains(word), is_needed, "{word}: {told}");
        }
    };
    is_told(node.says("port add web 8081:81/sctp").run(), &["note:", "[::1]:8081/sctp"]);
    is_told(
        node.says("run -d --name other -p 8082:82/sctp -p 8083:83 busybox sleep 1000").run(),
        &["note:", "[::1]:8082/sctp"],
    );
    let program = node.program().display().to_string();
    let line = format!("--nofile=700 {program} run -d --name many -p 9000-9299:9000-9299");
    let many = node.run("prlimit", line.split(' ').chain(["busybox", "sleep", "1000"]));
    is_told(many.run(), &["note:", "[::1]:9000-9299/tcp", "RLIMIT_NOFILE"]);
    let quiet = node.says("port add web 127.0.0.1:8084:84/sctp").run();
    assert_eq!((quiet.exit_code(), quiet.stderr()), (0, String::new()), "{quiet}");
    node.says("rm -f web other many").ok();
}

fn a_pod_that_began_before_bridges_call_netfilter_is_relayed_when_it_is_looked_after(node: &Node) {
    node.has_busybox();
    let calls = |value: &str| {
        if fs::exists(CALLS).is_ok_and(|it| it) {
            fs::write(CALLS, value).expect("a setting of the node's own");
        }
    };
    calls("0");
    node.says("run -d --name web -p 8080:80 busybox sleep 1000").ok();
    echoes(node, "web", 80);
    assert!(is_echoed(8080));
    calls("1");
    node.run("/usr/sbin/nft", ["flush", "ruleset"]).ok();
    until("the relay", SOON, || is_echoed(8080).then_some(()));
    node.says("rm -f web").ok();
}

fn ports_are_relayed_as_they_come_and_go(node: &Node) {
    node.has_busybox();
    has(node, "web", "");
    echoes(node, "web", 80);
    for _ in 0..5 {
        node.says("port add web 8080-8084:80-84").ok();
        assert!(is_echoed(8080));
        let mut open = connect(8080).expect("a connection");
        node.says("port rm web 8080:80").ok();
        assert_eq!(connect(8080).expect_err("closed").kind(), ErrorKind::ConnectionRefused);
        // What is open goes on, and the port can be had by another.
        open.write_all(b"still").expect("written");
        open.read_exact(&mut [0; 5]).expect("an answer");
        drop(TcpListener::bind("[::]:8080").expect("a free port"));
        node.says("port rm web 8081-8084:81-84").ok();
    }
    node.says("rm -f web").ok();
}

fn a_pods_first_network_has_its_ports_relayed(node: &Node) {
    node.has_busybox();
    node.says("network create one").ok();
    has(node, "web", "");
    echoes(node, "web", 80);
    node.says("network disconnect sandbar web").ok();
    node.says("port add web 8080:80").ok();
    node.says("network connect one web").ok();
    until("a way to the pod", SOON, || is_echoed(8080).then_some(()));
    node.says("rm -f web").ok();
    node.says("network rm one").ok();
}

fn the_next_supervisor_relays_again(node: &Node) {
    node.has_busybox();
    has(node, "web", "-p 8080:80 -p [::1]:8081:80 -p 5300:53/udp");
    echoes(node, "web", 80);
    echoes_datagrams(node, "web", 53);
    let mut open = connect(8080).expect("a connection");
    open.write_all(b"hello").expect("written");
    open.read_exact(&mut [0; 5]).expect("an answer");
    let supervisor = node.supervisor("web");
    supervisor.signal(Signal::KILL);
    until("the supervisor's end", SOON, || (!supervisor.lives()).then_some(()));
    assert!(!matches!(open.read(&mut [0]), Ok(1..)), "it went with who relayed it");
    assert!(connect(8080).is_err());
    node.says("exec web true").ok();
    for port in [8080, 8081] {
        assert!(is_echoed(port), "{port}");
        assert!(TcpListener::bind(("::1", port)).is_err(), "{port}");
    }
    let socket = UdpSocket::bind("[::1]:0").expect("a socket");
    assert_eq!(says(&socket, 5300, b"hello").as_deref(), Some(&b"hello!"[..]));
    node.says("rm -f web").ok();
}

/// Addresses of the node that are neither `::1` nor a bridge's.
const HOST: [&str; 2] = ["2001:db8::1", Node::ADDRESS];

fn nobody_else_has_the_port_and_who_comes_past_the_rules_is_refused(node: &Node) {
    node.has_busybox();
    node.run("/bin/busybox", ["ip", "addr", "add", &format!("{}/128", HOST[0]), "dev", "lo"]).ok();
    has(node, "web", "-p 8080:80 -p 5300:53/udp");
    has(node, "rogue", "");
    echoes(node, "web", 80);
    echoes_datagrams(node, "web", 53);
    assert!(is_echoed(8080));
    for address in ["::", "::1", "0.0.0.0", "127.0.0.1", HOST[0], HOST[1]] {
        assert!(TcpListener::bind((address, 8080)).is_err(), "{address}");
        assert!(UdpSocket::bind((address, 5300)).is_err(), "{address}");
    }
    // While nobody puts the rules back.
    let supervisor = node.supervisor("web");
    supervisor.signal(Signal::STOP);
    node.run("/usr/sbin/nft", ["flush", "ruleset"]).ok();
    let all = HOST.into_iter().chain(["127.0.0.1"]);
    for address in all.clone() {
        let error = TcpStream::connect((address, 8080)).expect_err(address);
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{address}");
    }
    let gateway = node.inspect("rogue")["NetworkSettings"]["IPv6Gateway"].clone();
    let gateway = gateway.as_str().expect("a gateway").to_owned();
    for address in [gateway.as_str(), HOST[0]] {
        let came = inside(node, "rogue", || {
            TcpStream::connect((address, 8080)).map_err(|error| error.kind()).map(drop)
        });
        assert_eq!(came, Err(ErrorKind::ConnectionRefused), "{address}");
        let answered = inside(node, "rogue", || {
            let socket = UdpSocket::bind("[::]:0").expect("a socket");
            socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
            socket.send_to(b"hello", (address, 5300)).expect("sent");
            socket.recv(&mut [0; 8])
        });
        assert!(answered.is_err(), "{address}");
    }
    supervisor.signal(Signal::CONT);
    until("the rules", SOON, || TcpStream::connect((HOST[1], 8080)).ok());
    assert!(is_echoed(8080));
    node.says("rm -f web rogue").ok();
}

fn a_port_is_free_after_relayed_connections_though_some_linger(node: &Node) {
    node.has_busybox();
    for round in 0..3 {
        has(node, "web", "-p 8080:80 -p [::1]:8081:80");
        // Who ends first is it whose address lingers (TIME_WAIT): here the relay, for the pod.
        let listener = inside(node, "web", || TcpListener::bind("[::]:80").expect("a listener"));
        thread::spawn(move || listener.incoming().flatten().for_each(drop));
        for port in [8080, 8081] {
            for _ in 0..10 {
                let mut stream = connect(port).expect("a connection");
                assert_eq!(stream.read(&mut [0]).expect("the end"), 0, "round {round}");
            }
        }
        assert!(
            TcpListener::bind("[::1]:8080").is_err() && TcpListener::bind("[::]:8080").is_err()
        );
        node.says("stop -t 0 web").ok();
        node.says("start web").ok();
        for port in [8080, 8081] {
            assert!(TcpListener::bind(("::1", port)).is_err(), "{port}");
            let error = TcpStream::connect((Node::ADDRESS, port)).expect_err("nobody serves");
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{port}");
        }
        node.says("rm -f web").ok();
        for port in [8080, 8081] {
            drop(TcpListener::bind(("::", port)).expect("a free port"));
        }
    }
}

fn more_connections_than_are_relayed_wait_for_their_turn(node: &Node) {
    node.has_busybox();
    has(node, "web", "-p 8080:80");
    echoes(node, "web", 80);
    let mut all: Vec<TcpStream> = (0..1024).map(|_| connect(8080).expect("connected")).collect();
    for stream in &mut all {
        stream.write_all(b"x").expect("written");
        stream.read_exact(&mut [0]).expect("an answer");
    }
    let mut one_more = connect(8080).expect("a place in the queue");
    one_more.write_all(b"x").expect("written");
    one_more.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    assert!(one_more.read(&mut [0]).is_err(), "it waits");
    node.says("exec web true").ok();
    drop(all.pop());
    one_more.set_read_timeout(Some(SOON)).expect("a timeout");
    one_more.read_exact(&mut [0]).expect("an answer");
    drop(all);
    until("many more", SOON, || is_echoed(8080).then_some(()));
    node.says("rm -f web").ok();
}

fn thousands_of_ports_are_relayed(node: &Node) {
    node.has_busybox();
    has(node, "web", "-p 8000-8999:8000-8999");
    has(node, "many", "-p 20000-21999:20000-21999/udp");
    for port in [8000, 8500, 8999] {
        echoes(node, "web", port);
        assert!(is_echoed(port), "{port}");
    }
    echoes_datagrams(node, "many", 21_999);
    let socket = UdpSocket::bind("[::1]:0").expect("a socket");
    assert_eq!(says(&socket, 21_999, b"hello").as_deref(), Some(&b"hello!"[..]));
    node.says("rm -f web many").ok();
}
