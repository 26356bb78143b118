//! A client that is connected over TCP.

use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;

use crate::framed::Framed;

/// How long a client may take to ask, and to take an answer, however it spreads its bytes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest question. A name has 255 bytes at the most, and EDNS a few options.
const LONGEST: usize = 4096;

/// A connected client. Its questions are answered one after the other.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) framed: Framed,
    pub(crate) address: IpAddr,
    pub(crate) state: State,
    /// When it is let go of. None while it waits for us.
    pub(crate) deadline: Option<Instant>,
    /// Whether it will ask nothing more.
    ended: bool,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A question of it.
    Reading,
    /// Another server's answer.
    Asking,
    /// That it takes its answer.
    Writing,
}

impl Client {
    pub(crate) fn new(socket: TcpStream, address: IpAddr) -> Self {
        let mut client = Self {
            framed: Framed::new(socket),
            address,
            state: State::Reading,
            deadline: None,
            ended: false,
        };
        client.enter(State::Reading);
        client
    }

    /// Waits for something else from now on; what of its socket that is.
    pub(crate) fn enter(&mut self, state: State) -> EventFlags {
        self.state = state;
        self.deadline = (state != State::Asking).then(|| Instant::now() + PATIENCE);
        self.events()
    }

    pub(crate) fn events(&self) -> EventFlags {
        match self.state {
            State::Reading => EventFlags::IN,
            State::Asking => EventFlags::empty(),
            State::Writing => EventFlags::OUT,
        }
    }

    /// Goes on with what its socket is ready for: whether it may be asked for its next question. An error is
    /// its end.
    pub(crate) fn proceed(&mut self) -> std::io::Result<bool> {
        match self.state {
            State::Reading => {
                self.ended |= self.framed.fill()?;
                Ok(true)
            }
            State::Writing => self.framed.flush(),
            // Nothing was waited for, so it is its end.
            State::Asking => Err(std::io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Whether nothing more will come of it.
    pub(crate) fn is_done(&self) -> bool {
        self.ended || self.framed.announced() > LONGEST
    }
}
