//! The names of a network's own pods.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips and measures"
)]

mod node;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType::{A, AAAA, ANY, MX, PTR, TXT};
use node::{ask, code, connect, ensure, found, network, on_a_node, put, question, shown, started};

#[test]
fn a_pod_is_found_by_its_name_and_in_both_domains() {
    on_a_node("a_pod_is_found_by_its_name_and_in_both_domains", || {
        let directory = network("");
        put(&directory, "1", "address 10.85.0.7 address fd00:85::7 name db name Blog-DB-1");
        ensure(&directory);
        for name in ["db.", "DB.", "db.blog.", "db.dns.sandbar.", "blog-db-1."] {
            assert_eq!(found(name, A), ["10.85.0.7"], "{name}");
            assert_eq!(found(name, AAAA), ["fd00:85::7"], "{name}");
        }
        assert_eq!(found("db.", ANY).len(), 2);
        assert_eq!(found("7.0.85.10.in-addr.arpa.", PTR), ["db.blog."]);
        let zeroes = "0.".repeat(23);
        let name = format!("7.{zeroes}5.8.0.0.0.0.d.f.ip6.arpa.");
        assert_eq!(found(&name, PTR), ["db.blog."]);
        assert_eq!(ask("db.", A).answers[0].ttl, 0);
    });
}

#[test]
fn a_name_without_such_records_has_none_and_is_not_asked_of_others() {
    on_a_node("a_name_without_such_records_has_none_and_is_not_asked_of_others", || {
        node::resolv_conf(&["127.0.0.11"]);
        let asked = node::upstream("127.0.0.11", |question, _tcp| {
            vec![node::answered(question, &["192.0.2.99"])]
        });
        let directory = network("");
        put(&directory, "1", "address 10.85.0.7 name v4");
        put(&directory, "2", "address fd00:85::7 name v6");
        ensure(&directory);
        for (name, kind) in [("v4.", AAAA), ("v6.", A), ("v4.", MX), ("v4.blog.", TXT)] {
            assert_eq!(shown(&ask(name, kind)), (ResponseCode::NoError, vec![]), "{name} {kind}");
        }
        for name in ["localhost.", "db.localhost."] {
            for (kind, address) in [(A, "127.0.0.1"), (AAAA, "::1")] {
                let found = shown(&ask(name, kind));
                assert_eq!(found, (ResponseCode::NoError, vec![address.to_owned()]), "{name}");
            }
            assert_eq!(shown(&ask(name, MX)), (ResponseCode::NoError, vec![]), "{name}");
        }
        assert_eq!(code("nobody.dns.sandbar.", A), ResponseCode::NXDomain);
        assert_eq!(code("99.0.85.10.in-addr.arpa.", PTR), ResponseCode::NXDomain);
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0);
    });
}

#[test]
fn an_alias_of_several_has_all_their_addresses_each_first_in_turn() {
    on_a_node("an_alias_of_several_has_all_their_addresses_each_first_in_turn", || {
        let directory = network("");
        for last in 11..14 {
            put(
                &directory,
                &last.to_string(),
                &format!("address 10.85.0.{last} name p{last} name web"),
            );
        }
        ensure(&directory);
        let answers: Vec<_> = (0..6).map(|_| found("web.", A)).collect();
        for first in ["10.85.0.11", "10.85.0.12", "10.85.0.13"] {
            assert_eq!(
                answers.iter().filter(|answer| answer[0] == first).count(),
                2,
                "{answers:?}"
            );
        }
        let mut all = answers[0].clone();
        all.sort();
        assert_eq!(all, ["10.85.0.11", "10.85.0.12", "10.85.0.13"]);
    });
}

#[test]
fn more_addresses_than_a_datagram_has_come_over_tcp() {
    on_a_node("more_addresses_than_a_datagram_has_come_over_tcp", || {
        let directory = network("");
        for last in 10..210 {
            put(&directory, &last.to_string(), &format!("address 10.85.0.{last} name web"));
        }
        ensure(&directory);
        let short = ask("web.", A);
        assert!(short.metadata.truncation && short.answers.len() > 20, "{}", short.answers.len());
        let mut stream = connect("pod");
        for _ in 0..3 {
            let whole = node::ask_over(&mut stream, &question("web.", A, None)).unwrap();
            assert!(!whole.metadata.truncation);
            assert_eq!(whole.answers.len(), 200);
        }
    });
}

#[test]
fn a_change_is_found_by_the_very_next_question() {
    on_a_node("a_change_is_found_by_the_very_next_question", || {
        node::resolv_conf(&["127.0.0.11"]);
        node::upstream("127.0.0.11", |question, _tcp| {
            vec![node::answered(question, &["192.0.2.99"])]
        });
        let directory = started("");
        assert_eq!(found("late.", A), ["192.0.2.99"]);
        for round in 1..100 {
            let address = format!("10.85.0.{round}");
            put(&directory, "1", &format!("address {address} name late"));
            assert_eq!(found("late.", A), [address]);
        }
        directory.remove_endpoint("1").unwrap();
        assert_eq!(found("late.", A), ["192.0.2.99"]);
    });
}

#[test]
fn on_an_internal_network_there_is_nothing_else() {
    on_a_node("on_an_internal_network_there_is_nothing_else", || {
        node::resolv_conf(&["127.0.0.11"]);
        let asked = node::upstream("127.0.0.11", |question, _tcp| {
            vec![node::answered(question, &["192.0.2.99"])]
        });
        started("internal\n");
        assert_eq!(found("asker.", A), ["10.85.0.2"]);
        for name in ["example.com.", "nobody.", "nobody.blog.", "1.2.0.192.in-addr.arpa."] {
            assert_eq!(code(name, A), ResponseCode::NXDomain, "{name}");
        }
        let mut stream = connect("pod");
        let answer = node::ask_over(&mut stream, &question("example.com.", A, None)).unwrap();
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0);
    });
}

#[test]
fn the_gateway_answers_over_ipv6_too() {
    on_a_node("the_gateway_answers_over_ipv6_too", || {
        started("");
        let question = question("asker.", AAAA, Some(1232)).to_vec().unwrap();
        let answer = node::exchange(&node::socket("pod", "fd00:85::1"), &question).unwrap();
        let answer = hickory_proto::op::Message::from_vec(&answer).unwrap();
        assert_eq!(shown(&answer).1, ["fd00:85::2"]);
        assert!(answer.edns.is_some());
    });
}
