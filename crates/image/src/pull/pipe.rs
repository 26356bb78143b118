//! Bytes from the thread that downloads to the one that unpacks.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Bytes in one piece.
pub(super) const PIECE: usize = 128 << 10;
/// Pieces on the way: what the network brings while the disk is slow for a moment.
const PIECES: usize = 8;

/// The end that is written to.
pub(super) struct Sender(SyncSender<Option<Vec<u8>>>);

/// The end that is read from.
pub(super) struct Pipe {
    receiver: Receiver<Option<Vec<u8>>>,
    piece: Vec<u8>,
    at: usize,
    ended: bool,
}

pub(super) fn pipe() -> (Sender, Pipe) {
    let (sender, receiver) = sync_channel(PIECES);
    (Sender(sender), Pipe { receiver, piece: Vec::new(), at: 0, ended: false })
}

impl Sender {
    /// Waits until there is room; false if nobody reads any more.
    pub(super) fn send(&self, bytes: &[u8]) -> bool {
        bytes.is_empty() || self.0.send(Some(bytes.to_vec())).is_ok()
    }

    /// Says that all has been sent. A sender that goes without having said so leaves an error behind.
    pub(super) fn finish(self) {
        // Who does not read any more need not be told.
        let _ = self.0.send(None);
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() && !self.ended {
            match self.receiver.recv() {
                Ok(Some(piece)) => (self.piece, self.at) = (piece, 0),
                Ok(None) => self.ended = true,
                Err(gone) => return Err(io::Error::new(io::ErrorKind::ConnectionAborted, gone)),
            }
        }
        let read = (&self.piece[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}
