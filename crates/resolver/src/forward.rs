//! A question that others are asked.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::SocketType;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::framed::Framed;
use crate::listen::unbound;
use crate::poll::{Poll, Token};
use crate::query::{LARGEST_DATAGRAM, Question, Transport, Verdict};

/// How often a question is asked before it has no answer, in all.
const TRIES: usize = 4;

/// How long a server may take before the next one is asked.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many wrong datagrams are read at a time, so that others have their turn.
const AT_A_TIME: usize = 16;

/// Where a question came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// By datagram, at the socket of this number.
    Datagram { socket: u32, peer: SocketAddr },
    /// By the connection of this number.
    Client(u32),
}

/// A question that is being asked: of one server after the other, each time by a socket and an id that nobody
/// can guess.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) question: Box<Question>,
    pub(crate) origin: Origin,
    pub(crate) source: IpAddr,
    pub(crate) deadline: Instant,
    /// What the last server that could not answer said.
    pub(crate) failure: ResponseCode,
    token: Token,
    tries: usize,
    asked: Option<(SocketAddr, u16, Link)>,
}

#[derive(Debug)]
enum Link {
    /// Connected, so that the kernel drops what comes from elsewhere.
    Udp(UdpSocket),
    Tcp(Framed),
}

/// How far a question is.
#[derive(Debug)]
pub(crate) enum Progress {
    Waiting,
    Answer(Vec<u8>),
    /// This server gives no answer.
    Failed,
}

impl Forward {
    pub(crate) fn new(
        question: Box<Question>,
        origin: Origin,
        source: IpAddr,
        token: Token,
    ) -> Self {
        let failure = ResponseCode::ServFail;
        let deadline = Instant::now();
        Self { question, origin, source, deadline, failure, token, tries: 0, asked: None }
    }

    /// Asks the next of `servers`; `false` if there is none left.
    pub(crate) fn ask(&mut self, servers: &[SocketAddr], poll: &Poll) -> bool {
        while self.tries < TRIES && !servers.is_empty() {
            let Some(&server) = servers.get(self.tries % servers.len()) else { return false };
            self.tries += 1;
            self.deadline = Instant::now() + PATIENCE;
            if self.send(server, poll).is_ok() {
                return true;
            }
        }
        false
    }

    fn send(&mut self, server: SocketAddr, poll: &Poll) -> std::io::Result<()> {
        if let Some((asked, id, Link::Udp(socket))) = &self.asked
            && *asked == server
        {
            // The same once more: then the answer to the first is one to the second too.
            socket.send(&self.question.forwarded(*id))?;
            return Ok(());
        }
        let mut id = [0; 2];
        getrandom(&mut id, GetRandomFlags::empty())?;
        let id = u16::from_ne_bytes(id);
        let message = self.question.forwarded(id);
        let link = match self.question.transport() {
            Transport::Udp => {
                let socket = unbound(server, SocketType::DGRAM)?;
                // Connected without being bound: the kernel takes a random free port.
                rustix::net::connect(&socket, &server)?;
                let socket = UdpSocket::from(socket);
                socket.send(&message)?;
                let _watched = poll.watch(&socket, self.token, EventFlags::IN);
                Link::Udp(socket)
            }
            Transport::Tcp => {
                let socket = unbound(server, SocketType::STREAM)?;
                match rustix::net::connect(&socket, &server) {
                    Ok(()) | Err(Errno::INPROGRESS) => {}
                    Err(errno) => return Err(errno.into()),
                }
                let mut framed = Framed::new(socket.into());
                framed.queue(&message);
                let _watched = poll.watch(&framed.socket, self.token, EventFlags::OUT);
                Link::Tcp(framed)
            }
        };
        self.asked = Some((server, id, link));
        Ok(())
    }

    /// Goes on with what the server's socket is ready for.
    pub(crate) fn proceed(&mut self, poll: &Poll) -> Progress {
        let Some((_server, id, link)) = &mut self.asked else { return Progress::Failed };
        let (id, token) = (*id, self.token);
        let answer = match link {
            Link::Udp(socket) => receive(socket, id, &self.question),
            Link::Tcp(framed) => exchange(framed, token, poll)
                .map(|message| message.map(|message| (self.question.judge(id, &message), message))),
        };
        match answer {
            Ok(None) => Progress::Waiting,
            Ok(Some((Verdict::Answer, message))) => Progress::Answer(message),
            Ok(Some((Verdict::Failure(code), _message))) => {
                self.failure = code;
                Progress::Failed
            }
            Ok(Some((Verdict::Foreign, _))) | Err(_) => Progress::Failed,
        }
    }
}

/// The first datagram that is to the point.
fn receive(
    socket: &UdpSocket,
    id: u16,
    question: &Question,
) -> std::io::Result<Option<(Verdict, Vec<u8>)>> {
    // One more than was asked for: a datagram that was cut is no answer.
    let mut buffer = [0; LARGEST_DATAGRAM as usize + 1];
    for _ in 0..AT_A_TIME {
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        };
        let message = buffer.get(..length).unwrap_or_default();
        match question.judge(id, message) {
            Verdict::Foreign => {}
            _ if length == buffer.len() => {}
            verdict => return Ok(Some((verdict, message.to_vec()))),
        }
    }
    Ok(None)
}

fn exchange(framed: &mut Framed, token: Token, poll: &Poll) -> std::io::Result<Option<Vec<u8>>> {
    if !framed.flush()? {
        return Ok(None);
    }
    let _watched = poll.rewatch(&framed.socket, token, EventFlags::IN);
    let ended = framed.fill()?;
    match framed.message() {
        None if ended => Err(std::io::ErrorKind::UnexpectedEof.into()),
        message => Ok(message),
    }
}
