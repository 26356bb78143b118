//! A message and its descriptors as one packet of a `SOCK_SEQPACKET` socket (`unix(7)`).

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use sandbar_spec::control::{LONGEST_PACKET, MOST_DESCRIPTORS};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A received message.
#[derive(Debug)]
pub struct Packet<T> {
    /// The message.
    pub message: T,
    /// Its descriptors.
    pub descriptors: Vec<OwnedFd>,
}

/// Sends `message` with `descriptors`.
///
/// # Errors
/// `MSGSIZE` for a message longer than a packet may be; else as sendmsg(2).
pub(crate) fn send<T: Serialize>(
    socket: impl AsFd,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let text = serde_json::to_vec(message).map_err(|_never_for_our_types| Errno::INVAL)?;
    if text.len() > LONGEST_PACKET {
        return Err(Errno::MSGSIZE);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::MSGSIZE);
    }
    let text = [IoSlice::new(&text)];
    rustix::io::retry_on_intr(|| {
        rustix::net::sendmsg(&socket, &text, &mut control, SendFlags::NOSIGNAL)
    })?;
    Ok(())
}

/// Receives one message; `None` when the other side is gone.
///
/// # Errors
/// `MSGSIZE` for a message that was longer than a packet may be, `BADMSG` for one that can't be read; else
/// as recvmsg(2).
pub(crate) fn receive<T: DeserializeOwned>(socket: impl AsFd) -> Result<Option<Packet<T>>, Errno> {
    let mut buffer = [0_u8; LONGEST_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let mut buffers = [IoSliceMut::new(&mut buffer)];
        rustix::net::recvmsg(&socket, &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let descriptors = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(Errno::MSGSIZE);
    }
    let text = buffer.get(..received.bytes).unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let message = serde_json::from_slice(text).map_err(|_not_a_message| Errno::BADMSG)?;
    Ok(Some(Packet { message, descriptors }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType};

    #[test]
    fn row_31_a_message_of_70_kib_is_a_clean_error() {
        let (a, b) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        let long = "x".repeat(70 << 10);
        assert_eq!(send(&a, &long, &[]), Err(Errno::MSGSIZE));
        // From somebody who does not check: the rest is not taken for a message of its own.
        rustix::net::send(&a, long.as_bytes(), SendFlags::empty()).unwrap();
        send(&a, &"next", &[b.as_fd()]).unwrap();
        assert_eq!(receive::<String>(&b).unwrap_err(), Errno::MSGSIZE);
        let next = receive::<String>(&b).unwrap().unwrap();
        assert_eq!((next.message.as_str(), next.descriptors.len()), ("next", 1));
    }
}
