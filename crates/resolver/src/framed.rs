//! Messages over TCP: each after two bytes of its length, RFC 7766.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::TcpStream;

/// A connection that never blocks.
#[derive(Debug)]
pub(crate) struct Framed {
    pub(crate) socket: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
}

impl Framed {
    /// Over `socket`, which is not to block.
    pub(crate) fn new(socket: TcpStream) -> Self {
        Self { socket, input: Vec::new(), output: Vec::new(), sent: 0 }
    }

    /// Takes a message to be sent. Of more than 65,535 bytes there is none.
    pub(crate) fn queue(&mut self, message: &[u8]) {
        let Ok(length) = u16::try_from(message.len()) else { return };
        self.output.extend(length.to_be_bytes());
        self.output.extend(message);
    }

    /// Sends what can be sent; whether that was all.
    pub(crate) fn flush(&mut self) -> Result<bool> {
        while let Some(rest) = self.output.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.socket.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.sent += written,
                // A connection that is being made is not connected yet.
                Err(error) if waits(error.kind()) => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        (self.output, self.sent) = (Vec::new(), 0);
        Ok(true)
    }

    /// Reads what there is, up to a message and a bit; whether the other end has ended.
    pub(crate) fn fill(&mut self) -> Result<bool> {
        let mut chunk = [0; 4096];
        while self.input.len() <= self.announced() {
            match self.socket.read(&mut chunk) {
                Ok(0) => return Ok(true),
                Ok(read) => self.input.extend(chunk.iter().take(read)),
                Err(error) if waits(error.kind()) => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// The next message that has arrived whole.
    pub(crate) fn message(&mut self) -> Option<Vec<u8>> {
        let length = self.announced();
        if self.input.len() < length.max(2) {
            return None;
        }
        let rest = self.input.split_off(length);
        let mut message = std::mem::replace(&mut self.input, rest);
        message.drain(..2);
        Some(message)
    }

    /// How long the message is that is arriving, with its length.
    pub(crate) fn announced(&self) -> usize {
        match self.input.first_chunk() {
            Some(&length) => 2 + usize::from(u16::from_be_bytes(length)),
            None => 2,
        }
    }
}

fn waits(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn messages_arrive_as_they_were_sent_however_they_are_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _peer) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut framed = Framed::new(socket);
        let mut arrived = Vec::new();
        for byte in [0, 3, b'a', b'b', b'c', 0, 0, 0, 1, b'd'] {
            sender.write_all(&[byte]).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(2));
            assert!(!framed.fill().unwrap());
            arrived.extend(framed.message());
        }
        assert_eq!(arrived, [b"abc".to_vec(), vec![], b"d".to_vec()]);
        drop(sender);
        assert!(framed.fill().unwrap());
    }
}
