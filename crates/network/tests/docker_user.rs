//! Beside Docker's rules: its policy to drop what is forwarded, and its chain for the rules of others.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips"
)]

mod node;

use std::{fs, net::IpAddr, process::Command};

use node::{
    HOST, HOST_6, NEIGHBOUR, NEIGHBOUR_6, Netns, addresses, answering, both, bridge, dual, further,
    ip, neighbour, on_a_node, pod, port, run, tcp,
};
use sandbar_network::{Access, Bridge, Protocol, Watch, forward_drops, publish, put_back};

const PROGRAMS: [&str; 2] = ["iptables-nft", "ip6tables-nft"];

/// As Docker 28 does, as far as it matters: without a rule for anything that is not its own.
fn docker_starts() {
    for program in PROGRAMS {
        for line in [
            "-P FORWARD DROP",
            "-N DOCKER-USER",
            "-N DOCKER-FORWARD",
            "-A FORWARD -j DOCKER-USER",
            "-A FORWARD -j DOCKER-FORWARD",
            "-A DOCKER-FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A DOCKER-FORWARD -i docker0 -j ACCEPT",
            "-A DOCKER-USER -s 203.0.113.9 -j DROP",
        ] {
            let line = if program == "ip6tables-nft" {
                line.replace("203.0.113.9", "2001:db8:bad::9")
            } else {
                line.to_owned()
            };
            iptables(program, &line);
        }
    }
}

fn iptables(program: &str, line: &str) -> String {
    run(program, &line.split(' ').collect::<Vec<_>>())
}

/// Runs the test where there is iptables-nft.
fn beside_docker(name: &str, test: fn()) {
    if PROGRAMS.iter().all(|program| Command::new(program).arg("--version").output().is_ok()) {
        on_a_node(name, test);
    } else {
        eprintln!("skipped: {name}: no iptables-nft");
    }
}

fn rules_for(bridge: &Bridge) -> Vec<String> {
    let name = bridge.name();
    [
        format!("-i {name} -o {name} -j ACCEPT"),
        format!("-i {name} -o docker+ -j RETURN"),
        format!("-i {name} -o br-+ -j RETURN"),
        format!("-i docker+ -o {name} -j RETURN"),
        format!("-i br-+ -o {name} -j RETURN"),
        format!("-i {name} -j ACCEPT"),
        format!("-o {name} -j ACCEPT"),
    ]
    .map(|rule| format!("-A DOCKER-USER {rule}"))
    .to_vec()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn listed(program: &str) -> Vec<String> {
    lines(&iptables(program, "-S"))
}

/// Docker's rules with these before its user's own.
fn with(before: &[String], ours: &[String]) -> Vec<String> {
    let at = before.iter().position(|line| line.starts_with("-A DOCKER-USER")).unwrap();
    [&before[..at], ours, &before[at..]].concat()
}

fn everyone_reaches(web: Netns, neighbour: Netns, mates: (Netns, &Bridge)) {
    for (world, host) in
        [(IpAddr::V4(NEIGHBOUR), IpAddr::V4(HOST)), (NEIGHBOUR_6.into(), HOST_6.into())]
    {
        assert_eq!(web.inside(|| tcp(world, 80)), Some(host.to_string()), "a pod, outside");
        assert_eq!(neighbour.inside(|| tcp(host, 8080)), Some(world.to_string()), "a neighbour");
    }
    let (mate, bridge) = mates;
    for address in both(addresses(bridge, 2)) {
        assert!(mate.inside(|| tcp(address, 80)).is_some(), "within the bridge");
        assert_eq!(answering(neighbour, [address], &[80, 81]), [], "not what is unpublished");
    }
}

#[test]
fn what_docker_drops_is_let_through_whoever_comes_first() {
    beside_docker("what_docker_drops_is_let_through_whoever_comes_first", || {
        fs::write("/proc/thread-self/comm", "sandbar-test").unwrap();
        for setting in ["iptables", "ip6tables"] {
            _ = fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{setting}"), "1");
        }
        let bridge = dual();
        let [web, mate] = [("web", 2), ("mate", 3)].map(|(name, n)| pod(&bridge, name, n));
        let neighbour = neighbour();
        let subnets = (bridge.subnet(), bridge.subnet6().unwrap());
        ip(&format!("-n neighbour route add {} via {HOST}", subnets.0));
        ip(&format!("-n neighbour -6 route add {} via {HOST_6}", subnets.1));
        for server in [web, neighbour] {
            server.serve(80, Protocol::Tcp);
        }
        let ports = [port(8080, 80, Protocol::Tcp)];
        publish(addresses(&bridge, 2), &ports).unwrap();
        everyone_reaches(web, neighbour, (mate, &bridge));
        // After our pods.
        let mut watch = Watch::open("sandbar").unwrap();
        docker_starts();
        let before = PROGRAMS.map(listed);
        assert!(neighbour.inside(|| tcp(HOST, 8080)).is_none(), "Docker drops");
        assert!(watch.look().unwrap());
        let back = || {
            put_back(std::slice::from_ref(&bridge), addresses(&bridge, 2), &ports).unwrap();
        };
        back();
        everyone_reaches(web, neighbour, (mate, &bridge));
        // Exactly so, Docker's own as they were; once, however often; and again when they are flushed.
        let flush_user = "-F DOCKER-USER";
        for (program, before) in PROGRAMS.iter().zip(&before) {
            let expected = with(before, &rules_for(&bridge));
            assert_eq!(listed(program), expected);
            bridge.ensure().unwrap();
            assert_eq!(listed(program), expected);
            for rule in rules_for(&bridge) {
                iptables(program, &rule.replace("-A ", "-C "));
            }
            assert!(!watch.look().unwrap());
            iptables(program, flush_user);
            assert!(watch.look().unwrap());
            back();
            let flushed = before.iter().filter(|line| !line.starts_with("-A DOCKER-USER"));
            let flushed: Vec<_> = flushed.cloned().chain(rules_for(&bridge)).collect();
            let sorted = |mut all: Vec<String>| {
                all.sort();
                all
            };
            assert_eq!(sorted(listed(program)), sorted(flushed));
        }
        everyone_reaches(web, neighbour, (mate, &bridge));
    });
}

#[test]
fn a_bridges_rules_come_and_go_with_it() {
    beside_docker("a_bridges_rules_come_and_go_with_it", || {
        docker_starts();
        let before = PROGRAMS.map(listed);
        let first = bridge();
        let second = further("sb-0123456789", 5, Access::Open);
        for (program, before) in PROGRAMS.iter().zip(&before) {
            let both = with(&with(before, &rules_for(&first)), &rules_for(&second));
            assert_eq!(listed(program), both);
        }
        // Its access is another now.
        let second = second.with_access(Access::Internal);
        second.ensure().unwrap();
        for (program, before) in PROGRAMS.iter().zip(&before) {
            let within = &rules_for(&second)[..1];
            assert_eq!(listed(program), with(&with(before, &rules_for(&first)), within));
        }
        // Rules out of order, or one too many, are put right.
        iptables(PROGRAMS[0], "-D DOCKER-USER -i sandbar0 -o docker+ -j RETURN");
        iptables(PROGRAMS[0], "-A DOCKER-USER -i sandbar0 -o docker+ -j RETURN");
        iptables(PROGRAMS[0], "-A DOCKER-USER -i sandbar0 -j ACCEPT");
        first.ensure().unwrap();
        let within = &rules_for(&second)[..1];
        assert_eq!(listed(PROGRAMS[0]), with(&with(&before[0], within), &rules_for(&first)));
        second.remove().unwrap();
        first.remove().unwrap();
        assert_eq!(PROGRAMS.map(listed), before);
    });
}

#[test]
fn without_dockers_chain_nothing_is_added_and_the_policy_is_told() {
    beside_docker("without_dockers_chain_nothing_is_added_and_the_policy_is_told", || {
        assert_eq!(forward_drops().unwrap(), []);
        iptables("iptables-nft", "-P FORWARD DROP");
        run(
            "nft",
            &[
                "add table inet wall; add chain inet wall gate { type filter hook forward priority 5; policy drop; }",
            ],
        );
        run(
            "nft",
            &["add chain inet wall door { type filter hook input priority 5; policy drop; }"],
        );
        let before = listed("iptables-nft");
        bridge();
        assert_eq!(listed("iptables-nft"), before);
        let told = || -> Vec<String> {
            let mut told: Vec<_> =
                forward_drops().unwrap().iter().map(ToString::to_string).collect();
            told.sort();
            told
        };
        assert_eq!(told(), ["inet wall gate", "ip filter FORWARD"]);
        iptables("iptables-nft", "-N DOCKER-USER");
        assert_eq!(told(), ["inet wall gate"]);
    });
}
