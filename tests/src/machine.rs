//! Machines beside a node, and what they and a node's pods say to each other.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sandbar_sys::Namespaces;

use crate::Node;

/// The node's addresses, IPv4 and IPv6, on the network that it has with a [`Machine::neighbour`].
pub const HOST: [&str; 2] = [Node::ADDRESS, "2001:db8::1"];
/// The neighbour's.
pub const NEIGHBOUR: [&str; 2] = ["192.0.2.2", "2001:db8::2"];

/// A network namespace: another machine's, or a pod's.
#[derive(Debug)]
pub struct Machine {
    /// What it is called.
    pub name: &'static str,
    namespace: File,
}

impl Machine {
    /// Another machine, not yet connected with anything.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let made = thread::spawn(|| {
            sandbar_sys::unshare(Namespaces::NEWNET).expect("a network namespace");
            File::open("/proc/thread-self/ns/net").expect("a network namespace")
        });
        let machine = Self { name, namespace: made.join().expect("a thread") };
        machine.ip("link set lo up");
        machine
    }

    /// A machine at the node's interface `name`0, the node being `node` there and itself `own`: IPv4, then IPv6.
    #[must_use]
    pub fn beside(name: &'static str, node: [&str; 2], own: [&str; 2]) -> Self {
        let machine = Self::new(name);
        let namespace =
            format!("/proc/{}/fd/{}", std::process::id(), machine.namespace.as_raw_fd());
        ip(&format!("link add {name}0 type veth peer name eth0 netns {namespace}"));
        ip(&format!("addr add {}/24 dev {name}0", node[0]));
        ip(&format!("addr add {}/64 dev {name}0 nodad", node[1]));
        ip(&format!("link set {name}0 up"));
        machine.ip(&format!("addr add {}/24 dev eth0", own[0]));
        machine.ip(&format!("addr add {}/64 dev eth0 nodad", own[1]));
        machine.ip("link set eth0 up");
        machine
    }

    /// A neighbour that sends what is for a container's network, and for loopback addresses, by way of the node.
    #[must_use]
    pub fn neighbour(node: &Node, container: &str) -> Self {
        let machine = Self::beside("lan", HOST, NEIGHBOUR);
        let settings = node.inspect(container)["NetworkSettings"].clone();
        let own = settings["IPAddress"].as_str().expect("an address").to_owned();
        let own6 = settings["GlobalIPv6Address"].as_str().unwrap_or_default().to_owned();
        machine.ip(&format!("route add {own}/32 via {}", HOST[0]));
        if !own6.is_empty() {
            machine.ip(&format!("-6 route add {own6}/128 via {}", HOST[1]));
        }
        machine
    }

    /// A running container's.
    #[must_use]
    pub fn of(node: &Node, name: &'static str) -> Self {
        let namespace = File::open(node.process(name).proc("ns/net")).expect("a namespace");
        Self { name, namespace }
    }

    /// Does something in it.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        let enter =
            || move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network));
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter().expect("setns");
                act()
            });
            thread.join().expect("a thread")
        })
    }

    /// Runs ip(8) in it, with the words of a line.
    pub fn ip(&self, line: &str) -> String {
        self.inside(|| ip(line))
    }

    /// Writes a setting of its own.
    pub fn set(&self, setting: &str, value: &str) {
        let path = format!("/proc/sys/net/{setting}");
        self.inside(|| fs::write(&path, value).expect(&path));
    }

    /// Serves a port until the test ends: tells each client its own name and the address that it sees.
    pub fn serve(&self, address: &str, port: u16) {
        let listener = self.inside(|| TcpListener::bind((address, port)).expect("a listener"));
        tell(listener, self.name);
    }

    /// What a server says; `None` if none answers.
    #[must_use]
    pub fn ask(&self, address: &str, port: u16) -> Option<String> {
        self.inside(|| ask(address, port))
    }

    /// Those of these that answer, all asked at once: silence takes its time.
    #[must_use]
    pub fn answering(&self, addresses: &[&str], ports: &[u16]) -> Vec<String> {
        let all =
            addresses.iter().flat_map(|address| ports.iter().map(move |port| (address, *port)));
        thread::scope(|scope| {
            let asked: Vec<_> = all
                .map(|(address, port)| {
                    scope.spawn(move || {
                        let answer = self.ask(address, port)?;
                        Some(format!("{} at {address} {port}: {answer}", self.name))
                    })
                })
                .collect();
            asked.into_iter().filter_map(|it| it.join().expect("a thread")).collect()
        })
    }
}

/// Serves a listener until the test ends, as [`Machine::serve`].
pub fn tell(listener: TcpListener, name: &'static str) {
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            if let Ok(peer) = client.peer_addr() {
                _ = write!(client, "{name} {}", peer.ip().to_canonical());
            }
        }
    });
}

/// What a server says to who asks it here; `None` if none answers.
#[must_use]
pub fn ask(address: &str, port: u16) -> Option<String> {
    // Longer than the second after which a first packet that got lost is sent again.
    ask_within(address, port, Duration::from_millis(2500))
}

/// As [`ask`], for no longer than this.
#[must_use]
pub fn ask_within(address: &str, port: u16, patience: Duration) -> Option<String> {
    let to = SocketAddr::from((address.parse::<IpAddr>().expect("an address"), port));
    let mut stream = TcpStream::connect_timeout(&to, patience).ok()?;
    stream.set_read_timeout(Some(patience)).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    (!text.is_empty()).then_some(text)
}

/// Runs ip(8), with the words of a line, and returns what it printed.
pub fn ip(line: &str) -> String {
    let output = Command::new("ip").args(line.split(' ')).output().expect("ip");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "ip {line}: {text}");
    text
}
