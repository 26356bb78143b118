//! SCTP through published ports. The kernel need not have SCTP sockets for that: the packets are made by hand.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips"
)]

mod node;

use std::{
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    time::Duration,
};

use node::{
    HOST, HOST_6, NEIGHBOUR, NEIGHBOUR_6, addresses, dual, neighbour, on_a_node, pod, port,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, recvfrom, sendto, socket, sockopt,
};
use sandbar_network::{Protocol, Reach, publish, reserve, unpublish_address};

#[test]
fn a_neighbours_sctp_reaches_a_published_port() {
    on_a_node("a_neighbours_sctp_reaches_a_published_port", || {
        let bridge = dual();
        let web = pod(&bridge, "web", 2);
        let neighbour = neighbour();
        let to = addresses(&bridge, 2);
        publish(to, &[port(8080, 80, Protocol::Sctp)]).unwrap();
        for (host, client) in
            [(IpAddr::V4(HOST), IpAddr::V4(NEIGHBOUR)), (HOST_6.into(), NEIGHBOUR_6.into())]
        {
            let server = web.inside(|| raw(host.is_ipv6()));
            let client_socket = neighbour.inside(|| raw(host.is_ipv6()));
            send(&client_socket, host, 5000, 8080);
            assert_eq!(receive(&server), Some((client, 5000, 80)), "{host}");
        }
        unpublish_address(to).unwrap();
        let server = web.inside(|| raw(false));
        send(&neighbour.inside(|| raw(false)), HOST.into(), 5001, 8080);
        assert_eq!(receive(&server), None);
    });
}

/// No socket, no port that another program could take.
#[test]
fn an_sctp_port_is_held_where_the_kernel_has_such_sockets() {
    on_a_node("an_sctp_port_is_held_where_the_kernel_has_such_sockets", || {
        let has_sockets =
            socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::SCTP)).is_ok();
        let wanted = port(8080, 80, Protocol::Sctp);
        let held = reserve(&wanted, Reach::Both).unwrap();
        assert_eq!(held.is_some(), has_sockets);
        assert_eq!(reserve(&wanted, Reach::Ipv4).is_err(), has_sockets);
    });
}

fn raw(is_ipv6: bool) -> OwnedFd {
    let family = if is_ipv6 { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket(family, SocketType::RAW, Some(ipproto::SCTP)).unwrap();
    let patience = Some(Duration::from_millis(1500));
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, patience).unwrap();
    socket
}

/// Sends the INIT of a new association (RFC 9260, 3.3.2).
fn send(socket: &OwnedFd, to: IpAddr, from_port: u16, to_port: u16) {
    let mut packet = [from_port.to_be_bytes(), to_port.to_be_bytes()].concat();
    packet.extend([0; 8]); // no tag yet, and the checksum
    packet.extend([1, 0, 0, 20, 0, 0, 0, 7, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 9]);
    let sum = crc32c(&packet).to_le_bytes();
    packet[8..12].copy_from_slice(&sum);
    sendto(socket, &packet, SendFlags::empty(), &SocketAddr::new(to, 0)).unwrap();
}

/// Who sent, and the two ports of what came; a checksum that is wrong fails.
fn receive(socket: &OwnedFd) -> Option<(IpAddr, u16, u16)> {
    let mut buffer = [0_u8; 256];
    let (_, length, from) = recvfrom(socket, &mut buffer[..], RecvFlags::empty()).ok()?;
    let from = SocketAddr::try_from(from?).unwrap().ip();
    // IPv4 gives its header, too.
    let header = if from.is_ipv4() { usize::from(buffer[0] & 15) * 4 } else { 0 };
    let mut packet = buffer[header..length].to_vec();
    let sum: [u8; 4] = packet[8..12].try_into().unwrap();
    packet[8..12].fill(0);
    assert_eq!(u32::from_le_bytes(sum), crc32c(&packet), "checksum");
    let port = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    Some((from, port(0), port(2)))
}

/// RFC 9260, appendix A.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 }
        })
    })
}
