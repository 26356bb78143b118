//! A machine for one test: network and mount namespaces of its own, with pods and neighbours beside it.
//!
//! The test's process runs its own executable again under `unshare`, for that one test; threads that act as a pod
//! or a neighbour enter its network namespace. util-linux and iproute2 only build the surroundings.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    env,
    fs::File,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    num::NonZeroU16,
    os::fd::AsFd,
    process::Command,
    thread,
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sandbar_network::{
    Access, Attached, Attachment, Bridge, InterfaceName, PodAddresses, Protocol, PublishedPort,
    Result, attach,
};

const INSIDE: &str = "SANDBAR_NETWORK_TEST";

/// Runs `test`, the body of the test function called `name`, on a machine of its own.
pub(crate) fn on_a_node(name: &str, test: fn()) {
    if env::var(INSIDE).is_ok_and(|inside| inside == name) {
        run("mount", &["-t", "tmpfs", "tmpfs", "/run"]);
        run("ip", &["link", "set", "lo", "up"]);
        test();
        return;
    }
    if let Some(why) = missing() {
        eprintln!("skipped: {name}: {why}");
        return;
    }
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--"])
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
    for tool in ["unshare", "mount", "ip", "nft"] {
        if Command::new(tool).arg("--version").output().is_err() {
            return Some(format!("no `{tool}`"));
        }
    }
    let listed = Command::new("unshare").args(["--net", "nft", "list", "tables"]).output().ok()?;
    (!listed.status.success()).then(|| "no namespaces, or no nftables in the kernel".to_owned())
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

pub(crate) fn ip(arguments: &str) -> String {
    run("ip", &arguments.split(' ').collect::<Vec<_>>())
}

/// A network namespace beside the host's.
#[derive(Clone, Copy)]
pub(crate) struct Netns(pub(crate) &'static str);

impl Netns {
    pub(crate) fn new(name: &'static str) -> Self {
        ip(&format!("netns add {name}"));
        Self(name)
    }

    pub(crate) fn file(self) -> File {
        File::open(format!("/run/netns/{}", self.0)).unwrap()
    }

    pub(crate) fn inside<T: Send>(self, act: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            scope
                .spawn(|| {
                    self.enter();
                    act()
                })
                .join()
                .unwrap()
        })
    }

    fn enter(self) {
        move_into_link_name_space(self.file().as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// Serves `port` until the test ends: tells each client the address it is seen by.
    pub(crate) fn serve(self, port: u16, protocol: Protocol) {
        let bound = self.inside(move || match protocol {
            Protocol::Tcp => Server::Tcp(TcpListener::bind(("::", port)).unwrap()),
            Protocol::Udp => Server::Udp(UdpSocket::bind(("::", port)).unwrap()),
            Protocol::Sctp => unreachable!("see sctp.rs"),
        });
        bound.start();
    }
}

enum Server {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Server {
    fn start(self) {
        thread::spawn(move || match self {
            Self::Tcp(listener) => {
                for mut client in listener.incoming().flatten() {
                    let peer = client.peer_addr().unwrap().ip().to_canonical().to_string();
                    _ = client.write_all(peer.as_bytes());
                }
            }
            Self::Udp(socket) => loop {
                let mut buffer = [0; 16];
                let Ok((_, peer)) = socket.recv_from(&mut buffer) else { continue };
                _ = socket.send_to(peer.ip().to_canonical().to_string().as_bytes(), peer);
            },
        });
    }
}

pub(crate) fn serve_on_host(address: &str, port: u16) {
    Server::Tcp(TcpListener::bind((address, port)).unwrap()).start();
}

/// Connects, and returns the address that the server sees; `None` if there is no answer.
pub(crate) fn ask(protocol: Protocol, to: impl Into<IpAddr>, port: u16) -> Option<String> {
    let to = to.into();
    // Longer than the second after which a first packet that got lost is sent again.
    let patience = Duration::from_millis(2500);
    let mut buffer = [0; 64];
    let length = match protocol {
        Protocol::Tcp => {
            let address = SocketAddr::from((to, port));
            let mut stream = TcpStream::connect_timeout(&address, patience).ok()?;
            stream.set_read_timeout(Some(patience)).unwrap();
            stream.read(&mut buffer).ok()?
        }
        Protocol::Udp => {
            let any = if to.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(any).unwrap();
            socket.connect((to, port)).ok()?;
            socket.set_read_timeout(Some(patience)).unwrap();
            socket.send(b"?").ok()?;
            socket.recv(&mut buffer).ok()?
        }
        Protocol::Sctp => unreachable!("see sctp.rs"),
    };
    (length > 0).then(|| String::from_utf8_lossy(&buffer[..length]).into_owned())
}

pub(crate) fn tcp(to: impl Into<IpAddr>, port: u16) -> Option<String> {
    ask(Protocol::Tcp, to, port)
}

/// Those of these addresses and TCP ports that answer: all asked at once, as silence takes its time.
pub(crate) fn answering(
    netns: Netns,
    addresses: impl IntoIterator<Item = IpAddr>,
    ports: &[u16],
) -> Vec<(IpAddr, u16)> {
    let all: Vec<_> =
        addresses.into_iter().flat_map(|ip| ports.iter().map(move |port| (ip, *port))).collect();
    thread::scope(|scope| {
        let asked: Vec<_> = all
            .into_iter()
            .map(|(ip, port)| (ip, port, scope.spawn(move || netns.inside(|| tcp(ip, port)))))
            .collect();
        let answered = asked
            .into_iter()
            .filter_map(|(ip, port, answer)| answer.join().unwrap().map(|_| (ip, port)));
        answered.collect()
    })
}

pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(crate) const HOST_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
pub(crate) const NEIGHBOUR_6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// Another machine on a network with the host: 192.0.2.2 and 2001:db8::2, the host being 192.0.2.1 and 2001:db8::1.
pub(crate) fn neighbour() -> Netns {
    let netns = Netns::new("neighbour");
    ip("link add lan0 type veth peer name eth0 netns neighbour");
    ip("addr add 192.0.2.1/24 dev lan0");
    ip("addr add 2001:db8::1/64 dev lan0 nodad");
    ip("link set lan0 up");
    ip("-n neighbour addr add 2001:db8::2/64 dev eth0 nodad");
    ip("-n neighbour addr add 192.0.2.2/24 dev eth0");
    ip("-n neighbour link set eth0 up");
    netns
}

pub(crate) fn pod_address(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 84, 0, n)
}

/// The `n`th addresses on a bridge.
pub(crate) fn addresses(bridge: &Bridge, n: u8) -> PodAddresses {
    let v4 = Ipv4Addr::from_bits(bridge.subnet().base().to_bits() + u32::from(n));
    let v6 = bridge.subnet6().map(|it| Ipv6Addr::from_bits(it.base().to_bits() + u128::from(n)));
    PodAddresses { v4, v6 }
}

/// A pod on the bridge, of its `n`th addresses.
pub(crate) fn pod(bridge: &Bridge, name: &'static str, n: u8) -> Netns {
    let netns = Netns::new(name);
    attach_to(bridge, netns, n).unwrap();
    netns
}

pub(crate) fn attach_to(bridge: &Bridge, netns: Netns, n: u8) -> Result<Attached> {
    let addresses = addresses(bridge, n);
    attach(bridge, netns.file().as_fd(), &Attachment::new(interface(netns), addresses))
}

pub(crate) fn interface(netns: Netns) -> InterfaceName {
    InterfaceName::for_pod(netns.0).unwrap()
}

pub(crate) fn port(host: u16, container: u16, protocol: Protocol) -> PublishedPort {
    let [host, container] = [host, container].map(|port| NonZeroU16::new(port).unwrap());
    PublishedPort::new(host, container, protocol)
}

pub(crate) fn bridge() -> Bridge {
    let bridge = Bridge::default();
    bridge.ensure().unwrap();
    bridge
}

/// The default bridge, with IPv6.
pub(crate) fn dual() -> Bridge {
    let bridge = Bridge::default().with_ipv6("fd00:84::/64".parse().unwrap(), None).unwrap();
    assert!(bridge.ensure().unwrap().without_ipv6.is_none());
    bridge
}

/// A further bridge, with IPv4 and IPv6.
pub(crate) fn further(name: &str, n: u8, access: Access) -> Bridge {
    let bridge = Bridge::new(name.parse().unwrap(), format!("10.8{n}.0.0/24").parse().unwrap())
        .with_ipv6(format!("fd00:8{n}::/64").parse().unwrap(), None)
        .unwrap()
        .with_access(access);
    bridge.ensure().unwrap();
    bridge
}

pub(crate) fn both(addresses: PodAddresses) -> [IpAddr; 2] {
    [addresses.v4.into(), addresses.v6.unwrap().into()]
}

pub(crate) fn gateways(bridge: &Bridge) -> [IpAddr; 2] {
    [bridge.gateway().into(), bridge.gateway6().unwrap().into()]
}
