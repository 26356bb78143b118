//! A machine for one test: PID, network and mount namespaces of its own, with a network of pods, a pod on it,
//! a stranger beside it, and resolvers of the host's that the test writes.
//!
//! The test's process runs its own executable again under `unshare`, for that one test; whatever that started
//! ends with it. util-linux and iproute2 only build the surroundings.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    env,
    fs::{self, File},
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sandbar_resolver::{Endpoint, NetworkDirectory, Start};

const INSIDE: &str = "SANDBAR_RESOLVER_TEST";

/// The network's gateway.
pub(crate) const GATEWAY: &str = "10.85.0.1";

/// Longer than a server is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_millis(4500);

/// Runs `test`, the body of the test function called `name`, on a machine of its own.
pub(crate) fn on_a_node(name: &str, test: fn()) {
    if env::var(INSIDE).is_ok_and(|inside| inside == name) {
        build();
        test();
        return;
    }
    if let Some(why) = missing() {
        eprintln!("skipped: {name}: {why}");
        return;
    }
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        .arg(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, name)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "the test did not run:\n{text}");
    for line in text.lines().filter(|line| line.starts_with("measured")) {
        eprintln!("{line}");
    }
}

fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root".to_owned());
    }
    for tool in ["unshare", "mount", "ip"] {
        if Command::new(tool).arg("--version").output().is_err() {
            return Some(format!("no `{tool}`"));
        }
    }
    let unshared =
        Command::new("unshare").args(["--net", "--pid", "--fork", "true"]).output().ok()?;
    (!unshared.status.success()).then(|| "no namespaces".to_owned())
}

fn build() {
    run("mount -t tmpfs tmpfs /run");
    // Where others may not enter, as the engine's own.
    run("mkdir -m 700 /run/sandbar");
    run("mkdir -m 711 /run/sandbar/networks");
    fs::write("/run/resolv.conf", "").unwrap();
    run("mount --bind /run/resolv.conf /etc/resolv.conf");
    run("ip link set lo up");
    for (name, host, theirs) in [
        ("pod", ["10.85.0.1/24", "fd00:85::1/64"], ["10.85.0.2/24", "fd00:85::2/64"]),
        ("other", ["192.0.2.1/24", "fd00:99::1/64"], ["192.0.2.2/24", "fd00:99::2/64"]),
    ] {
        run(&format!("ip netns add {name}"));
        run(&format!("ip link add {name} type veth peer name eth0 netns {name}"));
        run(&format!("ip link set {name} up"));
        run(&format!("ip -n {name} link set eth0 up"));
        for (ours, theirs) in host.into_iter().zip(theirs) {
            let nodad = if ours.contains(':') { " nodad" } else { "" };
            run(&format!("ip address add {ours} dev {name}{nodad}"));
            run(&format!("ip -n {name} address add {theirs} dev eth0{nodad}"));
        }
    }
    run("ip -n other route add 10.85.0.0/24 via 192.0.2.1");
}

pub(crate) fn run(command: &str) {
    let words: Vec<&str> = command.split(' ').collect();
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command}: {text}");
}

/// Does `act` in the network namespace of a pod or a stranger.
pub(crate) fn inside<T: Send>(netns: &str, act: impl FnOnce() -> T + Send) -> T {
    let file = File::open(format!("/run/netns/{netns}")).unwrap();
    thread::scope(|scope| {
        let acting = scope.spawn(|| {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            act()
        });
        acting.join().unwrap()
    })
}

/// A network `blog` with names, and one endpoint that keeps its resolver alive.
pub(crate) fn network(more: &str) -> NetworkDirectory {
    let directory = NetworkDirectory::new("/run/sandbar/networks/blog");
    let conf = "network blog\nlisten 10.85.0.1\nlisten fd00:85::1\n\
                subnet 10.85.0.0/24\nsubnet fd00:85::/64\n";
    directory.write(&format!("{conf}{more}").parse().unwrap()).unwrap();
    put(&directory, "asker", "address 10.85.0.2 address fd00:85::2 name asker");
    directory
}

/// Puts an endpoint: its words, each followed by its value, which may be empty.
pub(crate) fn put(directory: &NetworkDirectory, id: &str, words: &str) {
    let words: Vec<&str> = words.split(' ').collect();
    let lines: Vec<String> = words.chunks(2).map(|line| line.join(" ").trim().to_owned()).collect();
    let endpoint: Endpoint = lines.join("\n").parse().unwrap();
    directory.put_endpoint(id, &endpoint).unwrap();
}

/// Makes sure of the resolver; whether one was started.
pub(crate) fn ensure(directory: &NetworkDirectory) -> bool {
    try_ensure(directory).unwrap()
}

pub(crate) fn try_ensure(directory: &NetworkDirectory) -> sandbar_resolver::Result<bool> {
    let program = File::open(env!("CARGO_BIN_EXE_sandbar-resolver")).unwrap();
    Start::new(program.as_fd()).ensure(directory)
}

/// Starts the resolver of a network with one endpoint.
pub(crate) fn started(more: &str) -> NetworkDirectory {
    let directory = network(more);
    assert!(ensure(&directory));
    directory
}

/// The resolvers that run here.
pub(crate) fn resolvers() -> Vec<i32> {
    let name = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"sandbar-resolver\0")
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(name).collect()
}

pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}

pub(crate) fn question(name: &str, kind: RecordType, edns: Option<u16>) -> Message {
    static ID: AtomicUsize = AtomicUsize::new(1000);
    let id = u16::try_from(ID.fetch_add(1, Ordering::Relaxed) % 60000).unwrap();
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    if let Some(most) = edns {
        let mut edns = Edns::new();
        edns.set_max_payload(most);
        message.set_edns(edns);
    }
    message
}

/// A socket of the pod's or a stranger's, that sends to `server`.
pub(crate) fn socket(netns: &str, server: &str) -> UdpSocket {
    let server = SocketAddr::new(server.parse().unwrap(), 53);
    let any: IpAddr = if server.is_ipv4() { "0.0.0.0" } else { "::" }.parse().unwrap();
    inside(netns, move || {
        let socket = UdpSocket::bind((any, 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    })
}

/// Sends a datagram, and returns what comes back.
pub(crate) fn exchange(socket: &UdpSocket, message: &[u8]) -> Option<Vec<u8>> {
    socket.send(message).unwrap();
    let mut buffer = [0; 65535];
    let length = socket.recv(&mut buffer).ok()?;
    Some(buffer[..length].to_vec())
}

/// The answer that the pod gets by datagram.
pub(crate) fn ask(name: &str, kind: RecordType) -> Message {
    answer(&question(name, kind, None))
}

pub(crate) fn answer(question: &Message) -> Message {
    let encoded =
        exchange(&socket("pod", GATEWAY), &question.to_vec().unwrap()).expect("no answer");
    let answer = Message::from_vec(&encoded).unwrap();
    assert_eq!(answer.metadata.id, question.metadata.id);
    assert_eq!(answer.queries, question.queries);
    answer
}

/// A connection of the pod's.
pub(crate) fn connect(netns: &str) -> TcpStream {
    let stream = inside(netns, || TcpStream::connect((GATEWAY, 53)).unwrap());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// The answer over a connection; `None` if it is closed.
pub(crate) fn ask_over(stream: &mut TcpStream, question: &Message) -> Option<Message> {
    stream.write_all(&framed(&question.to_vec().unwrap())).ok()?;
    Message::from_vec(&unframed(stream)?).ok()
}

pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap();
    [&length.to_be_bytes(), message].concat()
}

pub(crate) fn unframed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).ok()?;
    Some(message)
}

/// The code and the data of an answer, as text.
pub(crate) fn shown(answer: &Message) -> (ResponseCode, Vec<String>) {
    let data = answer.answers.iter().map(|record| record.data.to_string());
    (answer.metadata.response_code, data.collect())
}

/// The data of a name's records that the pod gets.
pub(crate) fn found(name: &str, kind: RecordType) -> Vec<String> {
    let (code, data) = shown(&ask(name, kind));
    assert_eq!(code, ResponseCode::NoError, "{name}");
    data
}

pub(crate) fn code(name: &str, kind: RecordType) -> ResponseCode {
    ask(name, kind).metadata.response_code
}

/// Which resolvers the host uses.
pub(crate) fn resolv_conf(servers: &[&str]) {
    let lines: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    fs::write(Path::new("/etc/resolv.conf"), lines).unwrap();
}

/// A resolver of the host's at `address`, which answers a question as `answer` does, over UDP and TCP; the
/// number of questions that it was asked.
pub(crate) fn upstream(
    address: &str,
    answer: impl Fn(&Message, bool) -> Vec<Message> + Send + Sync + 'static,
) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let answer = Arc::new(answer);
    let udp = UdpSocket::bind((address, 53)).unwrap();
    let (counted, answered) = (asked.clone(), answer.clone());
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, peer)) = udp.recv_from(&mut buffer) {
            counted.fetch_add(1, Ordering::SeqCst);
            let question = Message::from_vec(&buffer[..length]).unwrap();
            for message in answered(&question, false) {
                udp.send_to(&message.to_vec().unwrap(), peer).unwrap();
            }
        }
    });
    let tcp = TcpListener::bind((address, 53)).unwrap();
    let counted = asked.clone();
    thread::spawn(move || {
        for mut stream in tcp.incoming().flatten() {
            while let Some(question) = unframed(&mut stream) {
                counted.fetch_add(1, Ordering::SeqCst);
                for message in answer(&Message::from_vec(&question).unwrap(), true) {
                    stream.write_all(&framed(&message.to_vec().unwrap())).unwrap();
                }
            }
        }
    });
    asked
}

/// An answer to `question` with these addresses.
pub(crate) fn answered(question: &Message, addresses: &[&str]) -> Message {
    let mut message = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    message.metadata.recursion_available = true;
    message.add_query(question.queries[0].clone());
    for address in addresses {
        let data = RData::A(address.parse::<std::net::Ipv4Addr>().unwrap().into());
        message.add_answer(Record::from_rdata(question.queries[0].name.clone(), 300, data));
    }
    message
}
