//! Netlink sockets: several requests in one `send`, and what the kernel answers to each.
//!
//! See netlink(7). Both families used here handle a request inside `send`, so every answer is queued when it
//! returns, and nothing ever has to be waited for.

mod attributes;
mod refusal;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use rustix::{buffer::spare_capacity, io::Errno, net::RecvFlags};

pub(crate) use attributes::{all_of, attribute, bytes_at, find, u32_of};
pub(crate) use refusal::Refusal;

/// More than the kernel puts in one datagram of a dump (32 KiB at most).
const RECEIVE: usize = 64 * 1024;

/// What a request is answered with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing, unless it fails.
    OnlyFailure,
    /// An acknowledgement.
    Ack,
    /// One message.
    One,
    /// Many messages and an end.
    Dump,
}

/// A message to the kernel.
pub(crate) struct Request<M> {
    pub(crate) message: M,
    /// `NLM_F_CREATE` and the like; those of netlink itself are added.
    pub(crate) flags: u16,
    pub(crate) answer: Answer,
}

/// The messages that answered one request (without their netlink headers), or why it was refused.
pub(crate) type Outcome = Result<Vec<Vec<u8>>, Refusal>;

/// A netlink socket in the network namespace of the thread that opened it.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: netlink_sys::Socket,
    sequence: u32,
}

impl Socket {
    /// rtnetlink(7): links, addresses, routes.
    pub(crate) fn route() -> io::Result<Self> {
        Self::open(NETLINK_ROUTE)
    }

    /// Netfilter, and with it nftables.
    pub(crate) fn netfilter() -> io::Result<Self> {
        Self::open(NETLINK_NETFILTER)
    }

    fn open(protocol: isize) -> io::Result<Self> {
        let inner = netlink_sys::Socket::new(protocol)?;
        // The kernel's own words for what is wrong, in place of a copy of the request.
        inner.set_ext_ack(true)?;
        inner.set_cap_ack(true)?;
        Ok(Self { inner, sequence: 0 })
    }

    /// Has the kernel send what it tells these groups, too.
    pub(crate) fn subscribe(&mut self, groups: &[u32]) -> io::Result<()> {
        // Without a number of its own the socket is told nothing.
        self.inner.bind_auto()?;
        groups.iter().try_for_each(|group| self.inner.add_membership(*group))
    }

    /// A second descriptor of the same socket.
    pub(crate) fn duplicate(&self) -> io::Result<OwnedFd> {
        self.inner.as_fd().try_clone_to_owned()
    }

    /// Sends all requests at once; one outcome for each, in their order.
    ///
    /// # Errors
    /// Of the socket itself. A request without the answer it should have had is refused with `EPROTO`.
    pub(crate) fn exchange<M: NetlinkSerializable>(
        &mut self,
        requests: impl IntoIterator<Item = Request<M>>,
    ) -> io::Result<Vec<Outcome>> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::with_capacity(1024);
        let mut exchange = Exchange { first, pending: Vec::new(), outcomes: Vec::new() };
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            exchange.pending.push(!matches!(request.answer, Answer::OnlyFailure));
            exchange.outcomes.push(Ok(Vec::new()));
            append(&mut bytes, request, self.sequence);
        }
        self.send(&bytes)?;
        self.receive(&mut exchange)?;
        Ok(exchange.finish())
    }

    /// Asks for a listing, and hands over its messages (without their netlink headers) one after the other: nothing is
    /// kept of what may be long.
    ///
    /// # Errors
    /// As of [`exchange`](Self::exchange).
    pub(crate) fn list<M: NetlinkSerializable>(
        &mut self,
        question: M,
        mut each: impl FnMut(&[u8]),
    ) -> io::Result<Result<(), Refusal>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut datagram = Vec::with_capacity(RECEIVE);
        let request = Request { message: question, flags: 0, answer: Answer::Dump };
        append(&mut datagram, request, self.sequence);
        self.send(&datagram)?;
        loop {
            datagram.clear();
            match rustix::net::recv(&self.inner, spare_capacity(&mut datagram), RecvFlags::DONTWAIT)
            {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => return Ok(Err(Errno::PROTO.into())),
                Err(error) => return Err(error.into()),
            }
            for message in messages(&datagram) {
                if message.sequence_number() != self.sequence {
                    continue; // of an earlier exchange that ended in an error
                }
                if [NLMSG_ERROR, NLMSG_DONE].contains(&message.message_type()) {
                    return Ok(Refusal::read(message.payload()).map_or(Ok(()), Err));
                }
                each(message.payload());
            }
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        match self.inner.send(bytes, 0) {
            // More than the socket's buffer: thousands of ports in one transaction.
            Err(error) if error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error()) => {
                rustix::net::sockopt::set_socket_send_buffer_size_force(
                    &self.inner,
                    bytes.len() * 2,
                )?;
                self.inner.send(bytes, 0)?;
            }
            other => _ = other?,
        }
        Ok(())
    }

    fn receive(&self, exchange: &mut Exchange) -> io::Result<()> {
        let mut datagram = Vec::with_capacity(RECEIVE);
        while exchange.pending.contains(&true) {
            datagram.clear();
            let buffer = spare_capacity(&mut datagram);
            match rustix::net::recv(&self.inner, buffer, RecvFlags::DONTWAIT) {
                Ok(_) => messages(&datagram).for_each(|message| exchange.take(&message)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

fn append<M: NetlinkSerializable>(bytes: &mut Vec<u8>, request: Request<M>, sequence: u32) {
    let mut header = NetlinkHeader::default();
    header.sequence_number = sequence;
    header.flags = NLM_F_REQUEST
        | request.flags
        | match request.answer {
            Answer::OnlyFailure | Answer::One => 0,
            Answer::Ack => NLM_F_ACK,
            Answer::Dump => NLM_F_DUMP,
        };
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request.message));
    message.finalize();
    let start = bytes.len();
    // Messages begin at multiples of four.
    bytes.resize(start + message.buffer_len().next_multiple_of(4), 0);
    if let Some(room) = bytes.get_mut(start..) {
        message.serialize(room);
    }
}

/// The messages in a datagram.
fn messages(mut datagram: &[u8]) -> impl Iterator<Item = NetlinkBuffer<&[u8]>> {
    std::iter::from_fn(move || {
        let message = NetlinkBuffer::new_checked(datagram).ok()?;
        let length = usize::try_from(message.length()).unwrap_or(usize::MAX);
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The state of one [`Socket::exchange`].
struct Exchange {
    first: u32,
    pending: Vec<bool>,
    outcomes: Vec<Outcome>,
}

impl Exchange {
    fn take(&mut self, message: &NetlinkBuffer<&[u8]>) {
        let index = message.sequence_number().wrapping_sub(self.first);
        let Some(index) = usize::try_from(index).ok().filter(|i| *i < self.outcomes.len()) else {
            return; // of an earlier exchange that ended in an error
        };
        let is_part = message.flags() & netlink_packet_core::NLM_F_MULTIPART != 0;
        let kind = message.message_type();
        if kind == NLMSG_ERROR {
            if let Some(refusal) = Refusal::read(message.payload()) {
                self.outcomes[index] = Err(refusal);
            }
        } else if kind != NLMSG_DONE
            && let Ok(messages) = &mut self.outcomes[index]
        {
            messages.push(message.payload().to_vec());
        } else if let Some(refusal) = Refusal::read(message.payload()) {
            self.outcomes[index] = Err(refusal); // a dump that broke off says so in its end
        }
        if !is_part || kind == NLMSG_DONE {
            self.pending[index] = false;
        }
    }

    fn finish(mut self) -> Vec<Outcome> {
        for (outcome, pending) in self.outcomes.iter_mut().zip(self.pending) {
            if pending && outcome.is_ok() {
                *outcome = Err(Refusal::from(Errno::PROTO));
            }
        }
        self.outcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(16 + payload.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn exchange(requests: usize) -> Exchange {
        Exchange {
            first: 7,
            pending: vec![true; requests],
            outcomes: (0..requests).map(|_| Ok(Vec::new())).collect(),
        }
    }

    fn read(exchange: &mut Exchange, datagram: &[u8]) {
        messages(datagram).for_each(|message| exchange.take(&message));
    }

    #[test]
    fn answers_find_their_requests() {
        let mut exchange = exchange(3);
        let mut datagram = message(NLMSG_ERROR, 0, 8, &(-17_i32).to_ne_bytes());
        datagram.extend(message(NLMSG_ERROR, 0, 7, &0_i32.to_ne_bytes()));
        datagram.extend(message(99, 0, 6, b"stale"));
        read(&mut exchange, &datagram);
        let outcomes = exchange.finish();
        assert!(outcomes[0].is_ok());
        assert_eq!(outcomes[1].as_ref().unwrap_err().errno(), Errno::EXIST);
        assert_eq!(outcomes[2].as_ref().unwrap_err().errno(), Errno::PROTO);
    }

    #[test]
    fn a_dump_goes_on_until_its_end() {
        let mut exchange = exchange(1);
        let part = netlink_packet_core::NLM_F_MULTIPART;
        read(&mut exchange, &message(24, part, 7, b"one"));
        read(&mut exchange, &message(24, part, 7, b"two"));
        assert!(exchange.pending[0]);
        read(&mut exchange, &message(NLMSG_DONE, part, 7, &0_i32.to_ne_bytes()));
        assert!(!exchange.pending[0]);
        assert_eq!(exchange.finish()[0].as_ref().unwrap(), &[b"one".to_vec(), b"two".to_vec()]);
    }

    #[test]
    fn a_truncated_datagram_is_no_answer() {
        let mut exchange = exchange(1);
        let whole = message(24, 0, 7, b"answer");
        read(&mut exchange, &whole[..18]);
        assert_eq!(exchange.finish()[0].as_ref().unwrap_err().errno(), Errno::PROTO);
    }
}
