//! What the host's resolvers are asked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips and measures"
)]

mod node;

use std::net::UdpSocket;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType::A;
use node::{
    answered, ask, ask_over, code, connect, found, on_a_node, question, resolv_conf, started,
    upstream,
};

#[test]
fn what_is_not_of_the_network_is_asked_of_the_host_s_resolver() {
    on_a_node("what_is_not_of_the_network_is_asked_of_the_host_s_resolver", || {
        resolv_conf(&["127.0.0.11"]);
        upstream("127.0.0.11", |question, tcp| {
            assert!(question.metadata.recursion_desired);
            vec![answered(question, &[if tcp { "192.0.2.2" } else { "192.0.2.1" }])]
        });
        started("");
        assert_eq!(found("Example.com.", A), ["192.0.2.1"]);
        assert_eq!(ask("example.com.", A).answers[0].ttl, 300);
        let mut stream = connect("pod");
        for _ in 0..3 {
            let answer = ask_over(&mut stream, &question("example.com.", A, None)).unwrap();
            assert_eq!(answer.answers[0].data.to_string(), "192.0.2.2");
        }
    });
}

/// Which may be another network's resolver, where the host's resolvers are several of them.
#[test]
fn what_the_host_itself_asks_is_not_asked_of_the_host_s_resolvers() {
    on_a_node("what_the_host_itself_asks_is_not_asked_of_the_host_s_resolvers", || {
        resolv_conf(&["127.0.0.11"]);
        upstream("127.0.0.11", |question, _tcp| vec![answered(question, &["192.0.2.1"])]);
        node::put(&started(""), "b", "address 10.85.0.3 name web");
        let asked = |name| {
            let socket = UdpSocket::bind("10.85.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket.connect("10.85.0.1:53").unwrap();
            let question = question(name, A, None).to_vec().unwrap();
            Message::from_vec(&node::exchange(&socket, &question).unwrap()).unwrap()
        };
        assert_eq!(asked("example.com.").metadata.response_code, ResponseCode::Refused);
        assert_eq!(asked("web.").answers.len(), 1);
        assert_eq!(found("example.com.", A), ["192.0.2.1"], "by a pod");
    });
}

#[test]
fn the_host_s_resolvers_are_those_of_now() {
    on_a_node("the_host_s_resolvers_are_those_of_now", || {
        resolv_conf(&["127.0.0.11"]);
        upstream("127.0.0.11", |question, _tcp| vec![answered(question, &["192.0.2.11"])]);
        upstream("127.0.0.12", |question, _tcp| vec![answered(question, &["192.0.2.12"])]);
        started("");
        assert_eq!(found("example.com.", A), ["192.0.2.11"]);
        resolv_conf(&["127.0.0.12"]);
        assert_eq!(found("example.com.", A), ["192.0.2.12"]);
    });
}

#[test]
fn a_resolver_that_is_silent_or_fails_is_followed_by_the_next() {
    on_a_node("a_resolver_that_is_silent_or_fails_is_followed_by_the_next", || {
        let silent = upstream("127.0.0.11", |_question, _tcp| vec![]);
        let failing = upstream("127.0.0.12", |question, _tcp| {
            let mut message = answered(question, &[]);
            message.metadata.response_code = ResponseCode::ServFail;
            vec![message]
        });
        upstream("127.0.0.13", |question, _tcp| vec![answered(question, &["192.0.2.13"])]);
        started("");
        // Nobody listens at the first: that is known at once.
        resolv_conf(&["127.0.0.99", "127.0.0.12", "127.0.0.13"]);
        let start = Instant::now();
        assert_eq!(found("example.com.", A), ["192.0.2.13"]);
        let mut stream = connect("pod");
        let answer = ask_over(&mut stream, &question("example.com.", A, None)).unwrap();
        assert_eq!(answer.answers.len(), 1);
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
        assert_eq!(failing.load(SeqCst), 2);
        resolv_conf(&["127.0.0.11", "127.0.0.13"]);
        let start = Instant::now();
        assert_eq!(found("example.com.", A), ["192.0.2.13"]);
        let waited = start.elapsed();
        assert!(
            (Duration::from_millis(1900)..Duration::from_secs(3)).contains(&waited),
            "{waited:?}"
        );
        assert_eq!(silent.load(SeqCst), 1);
        // Others are answered while somebody waits.
        let waiting = node::socket("pod", node::GATEWAY);
        waiting.send(&question("example.com.", A, None).to_vec().unwrap()).unwrap();
        let start = Instant::now();
        assert_eq!(found("asker.", A), ["10.85.0.2"]);
        assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    });
}

#[test]
fn without_any_that_answers_the_question_fails() {
    on_a_node("without_any_that_answers_the_question_fails", || {
        resolv_conf(&["127.0.0.99"]);
        started("");
        assert_eq!(code("example.com.", A), ResponseCode::ServFail);
        // Never itself.
        resolv_conf(&[node::GATEWAY]);
        assert_eq!(code("example.com.", A), ResponseCode::ServFail);
    });
}

#[test]
fn a_forged_answer_is_not_taken() {
    on_a_node("a_forged_answer_is_not_taken", || {
        resolv_conf(&["127.0.0.11"]);
        let ids = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = ids.clone();
        let server = UdpSocket::bind(("127.0.0.11", 53)).unwrap();
        let forger = UdpSocket::bind(("127.0.0.66", 53)).unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok((length, peer)) = server.recv_from(&mut buffer) {
                let question = Message::from_vec(&buffer[..length]).unwrap();
                seen.lock().unwrap().push((question.metadata.id, peer.port()));
                let forged = answered(&question, &["203.0.113.66"]);
                // From elsewhere, with the right id and question.
                forger.send_to(&forged.to_vec().unwrap(), peer).unwrap();
                // From the right address: with another id, about another name, and no answer at all.
                let mut other = forged.clone();
                other.metadata.id = other.metadata.id.wrapping_add(1);
                server.send_to(&other.to_vec().unwrap(), peer).unwrap();
                let mut about = node::question("example.org.", A, None);
                about.metadata.id = question.metadata.id;
                let about = answered(&about, &["203.0.113.66"]);
                server.send_to(&about.to_vec().unwrap(), peer).unwrap();
                server.send_to(&buffer[..length], peer).unwrap();
                server.send_to(b"nonsense", peer).unwrap();
                let right = answered(&question, &["192.0.2.1"]);
                server.send_to(&right.to_vec().unwrap(), peer).unwrap();
            }
        });
        started("");
        for _ in 0..20 {
            assert_eq!(found("example.com.", A), ["192.0.2.1"]);
        }
        let seen = ids.lock().unwrap().clone();
        let count = |of: &dyn Fn(&(u16, u16)) -> u16| {
            seen.iter().map(of).collect::<std::collections::BTreeSet<_>>().len()
        };
        assert!(count(&|seen| seen.0) > 15, "ids: {seen:?}");
        assert!(count(&|seen| seen.1) > 15, "ports: {seen:?}");
    });
}

#[test]
fn a_long_answer_is_cut_to_what_the_client_takes_and_whole_over_tcp() {
    on_a_node("a_long_answer_is_cut_to_what_the_client_takes_and_whole_over_tcp", || {
        resolv_conf(&["127.0.0.11"]);
        upstream("127.0.0.11", |question, tcp| {
            let addresses: Vec<String> = (0..60).map(|last| format!("192.0.2.{last}")).collect();
            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
            let mut answer = answered(question, &addresses);
            if question.queries[0].name.to_string().starts_with("honest") && !tcp {
                answer = answer.truncate();
            }
            vec![answer]
        });
        started("");
        for name in ["honest.example.com.", "careless.example.com."] {
            let short = ask(name, A);
            assert!(short.metadata.truncation && short.answers.is_empty(), "{name}");
            let mut stream = connect("pod");
            let whole = ask_over(&mut stream, &question(name, A, None)).unwrap();
            assert_eq!((whole.metadata.truncation, whole.answers.len()), (false, 60));
        }
        let large = node::answer(&question("careless.example.com.", A, Some(4096)));
        assert_eq!((large.metadata.truncation, large.answers.len()), (false, 60));
        let small = node::answer(&question("careless.example.com.", A, Some(600)));
        assert!(small.metadata.truncation && small.edns.is_some());
    });
}
