//! The resolver's loop: one thread, which waits for its sockets and for changes of its names.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::PTR;
use hickory_proto::rr::{RData, RecordType};
use rustix::event::epoll::EventFlags;
use rustix::fs::FlockOperation;

use crate::client::{Client, State};
use crate::error::Result;
use crate::forward::{Forward, Origin, Progress};
use crate::listen::Listening;
use crate::network::Network;
use crate::poll::{Poll, Token};
use crate::query::{Asked, LARGEST_DATAGRAM, Question, Transport, name};
use crate::siblings::Siblings;
use crate::upstream::Upstream;
use crate::watch::Watch;
use crate::zone::{Known, Zone, look_up};

/// How long a resolver stays after its last endpoint has gone: another may come, as with a restart.
const LINGER: Duration = Duration::from_secs(3);

/// How often it is looked whether a directory without endpoints, of whose end nobody tells, is there.
const LOOK: Duration = Duration::from_millis(200);

/// How many questions may be asked of others at a time, and how many of them for one address.
const FORWARDS: (usize, usize) = (256, 64);

/// How many clients may be connected at a time, and how many of one address.
const CLIENTS: (usize, usize) = (64, 8);

/// How many datagrams of a socket are read before others have their turn.
const AT_A_TIME: usize = 32;

/// What a resolver is given.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) network: Network,
    pub(crate) sockets: Vec<Listening>,
    pub(crate) resolv_conf: PathBuf,
    pub(crate) watch: Watch,
    pub(crate) siblings: Siblings,
    pub(crate) lock: OwnedFd,
}

/// What became of a message.
enum Outcome {
    Reply(Vec<u8>),
    Forwarded,
    Nothing,
}

struct Server {
    network: Network,
    sockets: Vec<Listening>,
    watch: Watch,
    siblings: Siblings,
    upstream: Upstream,
    poll: Poll,
    clients: HashMap<u32, Client>,
    forwards: HashMap<u32, Forward>,
    /// The number last given to a client or a question.
    last: u32,
    /// How many names were answered, by which their addresses are rotated.
    turn: usize,
    /// Since when there is no endpoint.
    alone: Option<Instant>,
}

/// Answers until there are no endpoints any more.
pub(crate) fn serve(options: Options) -> Result<()> {
    let own = options.network.listen.clone();
    let mut server = Server {
        network: options.network,
        sockets: options.sockets,
        watch: options.watch,
        siblings: options.siblings,
        upstream: Upstream::new(options.resolv_conf, own),
        poll: Poll::new()?,
        clients: HashMap::new(),
        forwards: HashMap::new(),
        last: 0,
        turn: 0,
        alone: None,
    };
    server.listen()?;
    while !server.is_over() || !let_go(&options.lock, &mut server.watch) {
        server.turn()?;
    }
    Ok(())
}

/// Lets the lock go; `false` if there is an endpoint again and the lock was still there to be taken.
///
/// Who adds an endpoint writes it, then tries the lock. So either they see that the lock is free, or the
/// endpoint is seen here.
fn let_go(lock: &OwnedFd, watch: &mut Watch) -> bool {
    let _released = rustix::fs::flock(lock, FlockOperation::Unlock);
    let again = watch.read().is_ok() && !watch.is_over();
    !again || rustix::fs::flock(lock, FlockOperation::NonBlockingLockExclusive).is_err()
}

impl Server {
    fn listen(&self) -> Result<()> {
        if let Some(changes) = self.watch.descriptor() {
            self.poll.watch(changes, Token::Names, EventFlags::IN)?;
        }
        for (number, socket) in (0..).zip(&self.sockets) {
            self.poll.watch(&socket.udp, Token::Datagrams(number), EventFlags::IN)?;
            self.poll.watch(&socket.tcp, Token::Connections(number), EventFlags::IN)?;
        }
        Ok(())
    }

    /// Waits once, and does what there is to do.
    fn turn(&mut self) -> Result<()> {
        for token in self.poll.wait(self.deadline())? {
            match token {
                // Looked at before each answer, and after each turn.
                Token::Names => {}
                Token::Datagrams(number) => self.datagrams(number),
                Token::Connections(number) => self.connections(number),
                Token::Client(number) => self.client(number),
                Token::Forward(number) => self.forward(number),
            }
        }
        self.expire(Instant::now());
        Ok(())
    }

    /// Whether there was no endpoint for long enough, or there will be none.
    fn is_over(&mut self) -> bool {
        if !self.watch.is_over() {
            self.alone = None;
            return false;
        }
        let since = *self.alone.get_or_insert_with(Instant::now);
        since.elapsed() >= LINGER || self.watch.is_removed()
    }

    fn deadline(&self) -> Option<Instant> {
        let look = self.alone.is_some() || self.watch.descriptor().is_none();
        let look = look.then(|| Instant::now() + LOOK);
        let forwards = self.forwards.values().map(|forward| forward.deadline);
        let clients = self.clients.values().filter_map(|client| client.deadline);
        forwards.chain(clients).chain(look).min()
    }

    fn expire(&mut self, now: Instant) {
        self.clients.retain(|_number, client| client.deadline.is_none_or(|end| now < end));
        let late = self.forwards.iter().filter(|(_number, forward)| forward.deadline <= now);
        for number in late.map(|(number, _forward)| *number).collect::<Vec<_>>() {
            self.ask_next(number);
        }
    }

    fn datagrams(&mut self, socket: u32) {
        let mut buffer = [0; LARGEST_DATAGRAM as usize];
        for _ in 0..AT_A_TIME {
            let Some(listening) = self.sockets.get(index(socket)) else { return };
            let (length, peer) = match listening.udp.recv_from(&mut buffer) {
                Ok(received) => received,
                // What an earlier answer met on its way.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => continue,
                Err(_) => return,
            };
            if !self.is_ours(peer.ip()) {
                continue;
            }
            let origin = Origin::Datagram { socket, peer };
            let message = buffer.get(..length).unwrap_or_default();
            if let Outcome::Reply(reply) = self.answer(message, Transport::Udp, origin, peer.ip()) {
                self.send(socket, peer, &reply);
            }
        }
    }

    fn send(&self, socket: u32, peer: SocketAddr, reply: &[u8]) {
        if let Some(listening) = self.sockets.get(index(socket)) {
            // A client whose answer is lost asks again.
            let _sent = listening.udp.send_to(reply, peer);
        }
    }

    fn connections(&mut self, number: u32) {
        for _ in 0..AT_A_TIME {
            let Some(listening) = self.sockets.get(index(number)) else { return };
            let (socket, peer) = match listening.tcp.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // No descriptor, or no memory: a moment later there may be. The client is still there to
                    // be seen.
                    std::thread::sleep(Duration::from_millis(1));
                    return;
                }
            };
            let address = peer.ip();
            let same = self.clients.values().filter(|client| client.address == address).count();
            let full = self.clients.len() >= CLIENTS.0 || same >= CLIENTS.1;
            if full || !self.is_ours(address) || socket.set_nonblocking(true).is_err() {
                continue;
            }
            let number = self.next();
            if self.poll.watch(&socket, Token::Client(number), EventFlags::IN).is_ok() {
                self.clients.insert(number, Client::new(socket, address));
            }
        }
    }

    fn client(&mut self, number: u32) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        match client.proceed() {
            Ok(true) => self.next_question(number),
            Ok(false) => {}
            Err(_ended) => self.close(number),
        }
    }

    /// Answers what a client has asked, until something has to be waited for.
    fn next_question(&mut self, number: u32) {
        while let Some(client) = self.clients.get_mut(&number) {
            let address = client.address;
            let Some(message) = client.framed.message() else {
                if client.is_done() {
                    return self.close(number);
                }
                // One that is in the middle of a question keeps the deadline that it has.
                if client.state != State::Reading {
                    client.enter(State::Reading);
                }
                return self.rewatch(number);
            };
            match self.answer(&message, Transport::Tcp, Origin::Client(number), address) {
                Outcome::Reply(reply) => {
                    if !self.reply(number, &reply) {
                        return;
                    }
                }
                Outcome::Forwarded => {
                    if let Some(client) = self.clients.get_mut(&number) {
                        client.enter(State::Asking);
                    }
                    return self.rewatch(number);
                }
                Outcome::Nothing => return self.close(number),
            }
        }
    }

    /// Sends a client its answer; whether it took it, and can be asked for its next question.
    fn reply(&mut self, number: u32, reply: &[u8]) -> bool {
        let Some(client) = self.clients.get_mut(&number) else { return false };
        client.framed.queue(reply);
        client.enter(State::Writing);
        match client.framed.flush() {
            Ok(true) => return true,
            Ok(false) => self.rewatch(number),
            Err(_ended) => self.close(number),
        }
        false
    }

    fn rewatch(&mut self, number: u32) {
        let Some(client) = self.clients.get(&number) else { return };
        let socket = &client.framed.socket;
        if self.poll.rewatch(socket, Token::Client(number), client.events()).is_err() {
            self.close(number);
        }
    }

    fn close(&mut self, number: u32) {
        self.clients.remove(&number);
        self.forwards.retain(|_number, forward| forward.origin != Origin::Client(number));
    }

    fn answer(
        &mut self,
        message: &[u8],
        transport: Transport,
        origin: Origin,
        source: IpAddr,
    ) -> Outcome {
        let question = match Asked::read(message, transport) {
            Asked::Noise => return Outcome::Nothing,
            Asked::Wrong(reply) => return Outcome::Reply(reply),
            Asked::Question(question) => question,
        };
        let reach = self.watch.names().reach(source);
        self.siblings.look(&reach.networks);
        let own = Zone { network: &self.network, names: self.watch.known() };
        let zones = self.siblings.zones(&reach.networks, own);
        let forwards = reach.forwards || !self.network.internal;
        let is_own = self.network.listen.contains(&source);
        let reply = match look_up(&zones, &question.query.name) {
            // From this very host, and perhaps another network's resolver, where the host's resolvers are several of
            // them: two that asked each other would never end. The C library asks its next server then.
            Known::Elsewhere if forwards && is_own => {
                question.reply(ResponseCode::Refused, Vec::new())
            }
            Known::Elsewhere if forwards => return self.ask(question, origin, source),
            Known::Elsewhere | Known::Nobody => question.reply(ResponseCode::NXDomain, Vec::new()),
            Known::Addresses(addresses) => {
                let mut records = records(&question, addresses);
                let turn = self.turn.checked_rem(records.len()).unwrap_or(0);
                records.rotate_left(turn);
                question.reply(ResponseCode::NoError, records)
            }
            Known::Pointer(text) => {
                let wanted = matches!(question.query.query_type, RecordType::PTR | RecordType::ANY);
                let pointer = name(&text).filter(|_name| wanted);
                let records = pointer.map(|name| RData::PTR(PTR(name))).into_iter().collect();
                question.reply(ResponseCode::NoError, records)
            }
        };
        self.turn = self.turn.wrapping_add(1);
        Outcome::Reply(reply)
    }

    /// Asks the host's resolvers.
    fn ask(&mut self, question: Box<Question>, origin: Origin, source: IpAddr) -> Outcome {
        let same = self.forwards.values().filter(|forward| forward.source == source).count();
        if self.forwards.len() >= FORWARDS.0 || same >= FORWARDS.1 {
            return Outcome::Reply(question.reply(ResponseCode::ServFail, Vec::new()));
        }
        let number = self.next();
        let mut forward = Forward::new(question, origin, source, Token::Forward(number));
        if !forward.ask(self.upstream.servers(), &self.poll) {
            return Outcome::Reply(forward.question.reply(forward.failure, Vec::new()));
        }
        self.forwards.insert(number, forward);
        Outcome::Forwarded
    }

    fn forward(&mut self, number: u32) {
        let Some(forward) = self.forwards.get_mut(&number) else { return };
        match forward.proceed(&self.poll) {
            Progress::Waiting => {}
            Progress::Failed => self.ask_next(number),
            Progress::Answer(answer) => {
                if let Some(forward) = self.forwards.remove(&number) {
                    self.deliver(forward.origin, &forward.question.relay(answer));
                }
            }
        }
    }

    /// Asks the next server, or says that none answers.
    fn ask_next(&mut self, number: u32) {
        let Some(mut forward) = self.forwards.remove(&number) else { return };
        if forward.ask(self.upstream.servers(), &self.poll) {
            self.forwards.insert(number, forward);
        } else {
            let reply = forward.question.reply(forward.failure, Vec::new());
            self.deliver(forward.origin, &reply);
        }
    }

    fn deliver(&mut self, origin: Origin, reply: &[u8]) {
        match origin {
            Origin::Datagram { socket, peer } => self.send(socket, peer, reply),
            Origin::Client(number) => {
                if self.reply(number, reply) {
                    self.next_question(number);
                }
            }
        }
    }

    /// Whether an address is of this network. Others get no answer, not even that they get none.
    fn is_ours(&self, address: IpAddr) -> bool {
        self.network.subnets.iter().any(|subnet| subnet.contains(address))
    }

    /// A number that nothing has.
    fn next(&mut self) -> u32 {
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.clients.contains_key(&self.last) && !self.forwards.contains_key(&self.last) {
                return self.last;
            }
        }
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The addresses of the family that was asked for.
fn records(question: &Question, addresses: &[IpAddr]) -> Vec<RData> {
    let wanted = question.query.query_type;
    let record = |address: &IpAddr| match address {
        IpAddr::V4(address) if matches!(wanted, RecordType::A | RecordType::ANY) => {
            Some(RData::A((*address).into()))
        }
        IpAddr::V6(address) if matches!(wanted, RecordType::AAAA | RecordType::ANY) => {
            Some(RData::AAAA((*address).into()))
        }
        _ => None,
    };
    addresses.iter().filter_map(record).collect()
}
