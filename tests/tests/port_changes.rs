//! `port add` and `port rm`: ports of a pod that lives.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::process::Signal;
use sandbar_tests::{Node, SOON, get, tests, until};

tests! {
    ports_come_and_go_while_others_serve,
    a_change_of_ports_is_all_or_nothing,
    thousands_are_added_at_once_and_taken_back_in_parts,
    a_stopped_pod_has_its_changed_ports_when_it_starts,
    ports_are_the_pods_under_its_next_supervisor,
    of_pods_that_race_for_an_added_port_one_gets_it,
    an_addition_that_is_killed_leaves_no_port_that_nobody_knows,
}

const SERVE: &str = "mkdir -p /srv; hostname >/srv/index.html; exec httpd -f -p 80 -h /srv";

fn serves(node: &Node, name: &str, ports: &str) {
    node.says(&format!("run -d --name {name} --hostname {name} {ports} busybox sh -c"))
        .with([SERVE])
        .ok();
    let address = node.address(name);
    until("that it serves", SOON, || get(&format!("{address}:80"), "/"));
}

fn body(port: u16) -> Option<String> {
    get(&format!("127.0.0.1:{port}"), "/").map(|answer| answer.body)
}

fn ports(node: &Node, name: &str) -> Vec<String> {
    node.sandbar(["port", "ls", name]).ok().lines().map(str::to_owned).collect()
}

fn ports_come_and_go_while_others_serve(node: &Node) {
    node.has_busybox();
    serves(node, "web", "-p 8080:80");
    let (over, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let traffic = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(body(8080).as_deref(), Some("web\n"), "a port that nobody changed");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        });
        for _ in 0..20 {
            assert_eq!(node.says("port add web 8081:80").ok(), "0.0.0.0:8081->80/tcp\n");
            assert_eq!(body(8081).as_deref(), Some("web\n"));
            assert!(TcpListener::bind("0.0.0.0:8081").is_err(), "the host can't have it");
            assert!(
                node.says("ps").ok().contains("8080-8081->80")
                    || node.says("ps").ok().contains("8081->80")
            );
            assert_eq!(node.says("port rm web 8081:80").ok(), "0.0.0.0:8081->80/tcp\n");
            assert_eq!(body(8081), None);
            drop(TcpListener::bind("0.0.0.0:8081").expect("a port that is free again"));
        }
        over.store(true, Ordering::Relaxed);
        traffic.join().expect("traffic that never failed");
    });
    assert!(asked.load(Ordering::Relaxed) > 20);
    let added = node.says("port add web 80 127.0.0.1::80").ok();
    assert_eq!(ports(node, "web").len(), 3, "{added}");
    assert_eq!(node.says("port rm web 80").ok().lines().count(), 3);
    assert_eq!((ports(node, "web").len(), body(8080)), (0, None));
    node.says("rm -f web").ok();
}

fn a_change_of_ports_is_all_or_nothing(node: &Node) {
    node.has_busybox();
    serves(node, "web", "-p 8080:80");
    serves(node, "other", "-p 8085:80");
    let before = ports(node, "web");
    for (change, words) in [
        ("add web 8081:80 8085:80", vec!["8085", "other"]),
        ("add web 8081-8085:1-5", vec!["8085", "other"]),
        ("add web 8081:80 8080:81", vec!["8080", "in common"]),
        ("add web 8081:80 127.0.0.1:8081:80", vec!["in common"]),
        ("rm web 8080:80 8081:80", vec!["web", "8081"]),
        ("rm web 8080:81", vec!["8080:81"]),
        ("rm web 80/udp", vec!["80/udp"]),
        ("ls nobody", vec!["nobody"]),
    ] {
        node.says(&format!("port {change}")).refused(1, &words);
        assert_eq!(ports(node, "web"), before, "{change}");
        drop(TcpListener::bind("0.0.0.0:8081").expect("a port that nobody has"));
        assert_eq!(body(8080).as_deref(), Some("web\n"), "{change}");
    }
    node.says("port add web 8081:http").refused(2, &["http", "1 to 65535"]);
    node.says("run -d --name alone --net none busybox sleep 1000").ok();
    node.says("port add alone 8081:80").refused(1, &["alone", "network"]);
    node.says("rm -f web other alone").ok();
}

fn thousands_are_added_at_once_and_taken_back_in_parts(node: &Node) {
    node.has_busybox();
    serves(node, "web", "-p 8080:80");
    let range = "0.0.0.0:20000-26999->20000-26999/tcp";
    assert_eq!(node.says("port add web 20000-26999:20000-26999").ok().trim_end(), range);
    node.says("exec web httpd -p 26999 -h /srv").ok();
    until("an answer", SOON, || body(26999).filter(|it| it == "web\n"));
    assert!(TcpListener::bind("0.0.0.0:26999").is_err());
    node.says("port rm web 21000-21999:21000-21999").ok();
    assert_eq!(
        ports(node, "web")[1..],
        ["0.0.0.0:20000-20999->20000-20999/tcp", "0.0.0.0:22000-26999->22000-26999/tcp"]
    );
    drop(TcpListener::bind("0.0.0.0:21500").expect("a free port"));
    assert!(TcpListener::bind("0.0.0.0:22000").is_err());
    assert_eq!(body(26999).as_deref(), Some("web\n"));
    node.says("rm -f web").ok();
    drop(TcpListener::bind("0.0.0.0:26999").expect("a free port"));
}

fn a_stopped_pod_has_its_changed_ports_when_it_starts(node: &Node) {
    node.has_busybox();
    serves(node, "web", "-p 8080:80");
    node.says("stop -t 0 web").ok();
    node.says("port add web 8081:80").ok();
    node.says("port rm web 8080:80").ok();
    drop(TcpListener::bind("0.0.0.0:8081").expect("nobody's, as long as the pod is stopped"));
    node.says("start web").ok();
    until("an answer", SOON, || body(8081).filter(|it| it == "web\n"));
    assert_eq!(body(8080), None);
    node.says("rm -f web").ok();
}

fn ports_are_the_pods_under_its_next_supervisor(node: &Node) {
    node.has_busybox();
    serves(node, "web", "-p 8080:80");
    node.says("port add web 8081:80 8082:80").ok();
    let supervisor = node.supervisor("web");
    supervisor.signal(Signal::KILL);
    until("the supervisor's end", SOON, || (!supervisor.lives()).then_some(()));
    // Nobody holds them, and they lead there all the same.
    for port in [8080, 8081, 8082] {
        assert_eq!(body(port).as_deref(), Some("web\n"), "{port}");
    }
    // The next command brings the next supervisor, which takes them again.
    node.says("port rm web 8082:80").ok();
    node.says("port add web 8083:80").ok();
    for port in [8080, 8081, 8083] {
        assert_eq!(body(port).as_deref(), Some("web\n"), "{port}");
        assert!(TcpListener::bind(("0.0.0.0", port)).is_err(), "{port}");
    }
    assert_eq!(body(8082), None);
    node.says("rm -f web").ok();
}

fn of_pods_that_race_for_an_added_port_one_gets_it(node: &Node) {
    node.has_busybox();
    let names = ["a", "b", "c", "d"];
    for name in names {
        serves(node, name, "");
    }
    for round in 0..10 {
        let outcomes: Vec<i32> = std::thread::scope(|scope| {
            let add =
                |name| move || node.sandbar(["port", "add", name, "8080:80"]).run().exit_code();
            let threads: Vec<_> = names.iter().map(|name| scope.spawn(add(*name))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
        });
        let got = outcomes.iter().filter(|&&code| code == 0).count();
        assert_eq!(got, 1, "round {round}: {outcomes:?}");
        let with: Vec<&str> =
            names.into_iter().filter(|name| !ports(node, name).is_empty()).collect();
        assert_eq!(with.len(), 1, "round {round}: {with:?}");
        assert_eq!(body(8080).map(|it| it.trim_end().to_owned()).as_deref(), Some(with[0]));
        node.sandbar(["port", "rm", with[0], "8080:80"]).ok();
    }
    node.says("rm -f a b c d").ok();
}

/// Whatever it left is put right by the next change, or by the pod's end.
fn an_addition_that_is_killed_leaves_no_port_that_nobody_knows(node: &Node) {
    node.has_busybox();
    serves(node, "web", "-p 8080:80");
    let range = ["port", "add", "web", "20000-22999:20000-22999"];
    let mut recorded = 0;
    for round in 0..40_u64 {
        let command = node.sandbar(range).begin();
        std::thread::sleep(std::time::Duration::from_millis(round * 3 / 2));
        command.kill();
        let next = node.says("port add web 8081:80").run();
        assert_eq!(next.exit_code(), 0, "{next}");
        let has_it = ports(node, "web").len() > 2;
        recorded += u32::from(has_it);
        let free = TcpListener::bind("0.0.0.0:22999").is_ok();
        assert_eq!(free, !has_it, "round {round}");
        let listed = node.run("nft", ["list", "map", "inet", "sandbar", "published"]).ok();
        assert_eq!(listed.contains(" 22999 "), has_it, "round {round}");
        node.says("port rm web 8081:80").ok();
        if has_it {
            node.says("port rm web 20000-22999:20000-22999").ok();
        }
    }
    eprintln!("of 40 additions that were killed, {recorded} were on record");
    // The last is for the pod's end to clear.
    let command = node.sandbar(range).begin();
    std::thread::sleep(std::time::Duration::from_millis(20));
    command.kill();
    node.says("stop -t 0 web").ok();
    assert!(!node.run("nft", ["list", "table", "inet", "sandbar"]).ok().contains("22999 :"));
    node.says("rm -f web").ok();
}
