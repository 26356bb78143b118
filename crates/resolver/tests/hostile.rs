//! Clients that mean harm.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips and measures"
)]

mod node;

use std::io::{Read, Write};
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::RecordType::A;
use node::{
    answered, ask_over, connect, exchange, found, on_a_node, question, resolv_conf, resolvers,
    socket, started, upstream,
};

#[test]
fn who_is_not_of_the_network_gets_no_answer() {
    on_a_node("who_is_not_of_the_network_gets_no_answer", || {
        resolv_conf(&["127.0.0.11"]);
        let asked =
            upstream("127.0.0.11", |question, _tcp| vec![answered(question, &["192.0.2.1"])]);
        started("");
        let stranger = socket("other", node::GATEWAY);
        stranger.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        for name in ["asker.", "example.com."] {
            let question = question(name, A, None).to_vec().unwrap();
            assert!(exchange(&stranger, &question).is_none(), "{name}");
        }
        let mut stream = connect("other");
        assert!(ask_over(&mut stream, &question("asker.", A, None)).is_none());
        assert_eq!(asked.load(SeqCst), 0);
        // The host itself may ask.
        let host = std::net::UdpSocket::bind((node::GATEWAY, 0)).unwrap();
        host.connect((node::GATEWAY, 53)).unwrap();
        host.set_read_timeout(Some(node::PATIENCE)).unwrap();
        assert!(exchange(&host, &question("asker.", A, None).to_vec().unwrap()).is_some());
    });
}

#[test]
fn an_answer_gets_no_answer_and_nonsense_ends_nothing() {
    on_a_node("an_answer_gets_no_answer_and_nonsense_ends_nothing", || {
        started("");
        let pod = socket("pod", node::GATEWAY);
        let mut answer = question("asker.", A, None);
        answer.metadata.message_type = MessageType::Response;
        let mut state = 1_u32;
        for length in 0..2000 {
            let mut noise: Vec<u8> = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .take(length % 700)
            .collect();
            // Answers all of them, so that none comes back.
            if let Some(flags) = noise.get_mut(2) {
                *flags |= 0x80;
            }
            pod.send(&noise).unwrap();
        }
        pod.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert!(exchange(&pod, &answer.to_vec().unwrap()).is_none());
        let mut circle = question(".", A, None).to_vec().unwrap();
        circle.splice(12..13, [0xc0, 12]);
        let refused = Message::from_vec(&exchange(&pod, &circle).unwrap()).unwrap();
        assert_eq!(refused.metadata.response_code, ResponseCode::FormErr);
        assert_eq!(found("asker.", A), ["10.85.0.2"]);
    });
}

#[test]
fn slow_clients_keep_nobody_else_waiting_and_are_let_go_of() {
    on_a_node("slow_clients_keep_nobody_else_waiting_and_are_let_go_of", || {
        started("");
        let mut slow: Vec<_> = (0..12).map(|_| connect("pod")).collect();
        for stream in &mut slow {
            let _refused = stream.write_all(&[0, 30, 1]);
        }
        std::thread::sleep(Duration::from_millis(100));
        // More than eight of one address are not taken at a time; others and datagrams are.
        let closed = |stream: &mut std::net::TcpStream| {
            stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
            match stream.read(&mut [0]) {
                Ok(read) => read == 0,
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
            }
        };
        assert_eq!(slow.iter_mut().filter_map(|stream| closed(stream).then_some(())).count(), 4);
        let host = std::net::TcpStream::connect((node::GATEWAY, 53)).unwrap();
        host.set_read_timeout(Some(node::PATIENCE)).unwrap();
        assert!(ask_over(&mut { host }, &question("asker.", A, None)).is_some());
        assert_eq!(found("asker.", A), ["10.85.0.2"]);
        // However they spread their bytes: one each second is not enough.
        let start = Instant::now();
        while !slow.iter_mut().all(closed) {
            assert!(start.elapsed() < Duration::from_secs(13), "held for {:?}", start.elapsed());
            for stream in &mut slow {
                let _closed = stream.write_all(&[0]);
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        let mut stream = connect("pod");
        assert!(ask_over(&mut stream, &question("asker.", A, None)).is_some());
    });
}

#[test]
fn a_flood_has_its_bound_and_leaves_the_network_s_names() {
    on_a_node("a_flood_has_its_bound_and_leaves_the_network_s_names", || {
        resolv_conf(&["127.0.0.11"]);
        let asked = upstream("127.0.0.11", |_question, _tcp| vec![]);
        started("");
        let pod = socket("pod", node::GATEWAY);
        for round in 0..200 {
            pod.send(&question(&format!("{round}.example.com."), A, None).to_vec().unwrap())
                .unwrap();
        }
        let mut buffer = [0; 512];
        // What is above the bound fails at once.
        for _ in 0..200 - 64 {
            let length = pod.recv(&mut buffer).unwrap();
            let answer = Message::from_vec(&buffer[..length]).unwrap();
            assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
        }
        node::wait_until("others were asked more, or less", || asked.load(SeqCst) == 64);
        assert_eq!(found("asker.", A), ["10.85.0.2"]);
        let pid = resolvers()[0];
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        assert!(open < 90, "{open} descriptors");
    });
}

#[test]
fn the_process_is_nobody_s_and_small() {
    on_a_node("the_process_is_nobody_s_and_small", || {
        started("");
        assert_eq!(found("asker.", A), ["10.85.0.2"]);
        let pid = resolvers()[0];
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().replace('\t', " ")
        };
        assert_eq!(field("Uid:"), "65534 65534 65534 65534");
        assert_eq!(field("Gid:"), "65534 65534 65534 65534");
        assert_eq!(field("Groups:"), "");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(field(set), "0000000000000000", "{set}");
        }
        assert_eq!(field("NoNewPrivs:"), "1");
        assert_eq!(field("Threads:"), "1");
        // The names, and the way to those of other networks, are all that it has open of the host's files.
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
            let target = std::fs::read_link(entry.unwrap().path()).unwrap();
            let target = target.to_str().unwrap().to_owned();
            let known = [
                "/run/sandbar/networks",
                "/run/sandbar/networks/blog/names",
                "/run/sandbar/networks/blog/resolver.lock",
            ];
            let is_known = known.contains(&target.as_str())
                || ["/dev/null", "socket:", "anon_inode:"].iter().any(|it| target.starts_with(it));
            assert!(is_known, "{target}");
        }
        let memory = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let size = |name: &str| -> u64 {
            let line = memory.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        let (all, written) = (size("Pss:"), size("Private_Dirty:"));
        println!("\nmeasured: a resolver has {all} KiB (PSS), {written} KiB of which it wrote");
        assert!(written < 1024, "{memory}");
    });
}
