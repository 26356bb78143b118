//! Blobs: layers and configurations, as streams that go on where they broke off.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};
use ureq::http::{Method, StatusCode};

use crate::answer::{expect, header, of_body, stream};
use crate::client::Client;
use crate::connections::{Answer, Request};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::location::Location;
use crate::peer::Peer;

/// A blob that is being read, from any of its bytes on.
///
/// A connection that breaks, stalls or ends too early is made again, and the rest asked for. What is read from the
/// first byte on is checked against the digest, so the end comes only if all of it fits; what is read from a later one
/// is the caller's to check, who has the bytes before. The reader's errors hold one of ours: [`Error::of`].
pub struct Blob<'c> {
    client: &'c Client,
    peer: Peer,
    digest: Digest,
    size: u64,
    begins_at: u64,
    /// How many bytes of the blob are done with.
    at: u64,
    body: Option<Box<dyn Read + Send>>,
    hash: Option<Sha256>,
    /// How often it broke since the last byte.
    failures: u32,
}

impl Client {
    /// Opens a blob of the repository, `size` bytes long, from its byte `from` on. A registry that can't do so sends
    /// all of it: see [`Blob::begins_at`].
    ///
    /// # Errors
    /// As the registry refuses; [`ErrorKind::TooLarge`] or [`ErrorKind::Protocol`] if its size is another.
    pub fn blob(
        &self,
        location: &Location,
        digest: Digest,
        size: u64,
        from: u64,
    ) -> Result<Blob<'_>> {
        if from > size {
            let message = format!("{location}: {digest} has {size} bytes, and no byte {from}");
            return Err(Error::protocol(message));
        }
        self.of_any(location, |peer| {
            let wanted = Wanted { digest, size, from };
            let (answer, begins_at) = self.patiently(peer.attempts, || self.open(peer, &wanted))?;
            Ok(Blob {
                client: self,
                peer: peer.clone(),
                digest,
                size,
                begins_at,
                at: begins_at,
                body: Some(Box::new(stream(answer))),
                hash: (begins_at == 0).then(Sha256::new),
                failures: 0,
            })
        })
    }

    /// Asks for the blob from a byte on. Also says from which byte on it comes: that one, or the first.
    fn open(&self, peer: &Peer, wanted: &Wanted) -> Result<(Answer, u64)> {
        let Wanted { digest, size, from } = *wanted;
        let path = format!("/v2/{}/blobs/{digest}", peer.source.repository);
        let mut request = Request::new(Method::GET, peer.origin.url(path));
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        let answer = self.ask(peer, request, &peer.scope("pull"));
        let answer = answer.and_then(|answer| expect(&peer.origin, answer, &[200, 206]));
        let answer = answer.map_err(|e| e.within(digest))?;
        let begins_at = if answer.status() == StatusCode::PARTIAL_CONTENT {
            let range = format!("bytes {from}-{}/{size}", size.saturating_sub(1));
            if header(&answer, "content-range") != Some(range.as_str()) {
                let message = format!("{digest}: {} sends another part than {range}", peer.origin);
                return Err(Error::protocol(message));
            }
            from
        } else {
            0
        };
        match answer.body().content_length() {
            Some(length) if length > size - begins_at => Err(wanted.too_large(peer)),
            Some(length) if length < size - begins_at => Err(Error::protocol(format!(
                "{digest}: {} has {length} bytes where there should be {}",
                peer.origin,
                size - begins_at
            ))),
            _ => Ok((answer, begins_at)),
        }
    }
}

/// Which bytes of which blob.
struct Wanted {
    digest: Digest,
    size: u64,
    from: u64,
}

impl Wanted {
    fn too_large(&self, peer: &Peer) -> Error {
        let Self { digest, size, .. } = self;
        let message = format!("{digest}: {} sends more than its {size} bytes", peer.origin);
        Error::new(ErrorKind::TooLarge, message)
    }
}

impl Blob<'_> {
    /// The number of the first byte that is read: the one that was asked for, or 0, if the registry sends all of it
    /// whatever is asked for. Then what the caller has is to be thrown away.
    #[must_use]
    pub fn begins_at(&self) -> u64 {
        self.begins_at
    }

    fn wanted(&self) -> Wanted {
        Wanted { digest: self.digest, size: self.size, from: self.at }
    }

    /// Opens the rest, past what is done with.
    fn go_on(&self) -> Result<Box<dyn Read + Send>> {
        let (answer, begins_at) = self.client.open(&self.peer, &self.wanted())?;
        let mut body = stream(answer);
        let known = self.at - begins_at;
        let skipped = io::copy(&mut body.by_ref().take(known), &mut io::sink())
            .map_err(|e| of_body(&self.peer.origin, e))?;
        if skipped < known {
            return Err(self.truncated());
        }
        Ok(Box::new(body))
    }

    fn truncated(&self) -> Error {
        let Self { digest, size, at, peer, .. } = self;
        let message = format!("{digest}: {} sends {at} of its {size} bytes", peer.origin);
        Error::new(ErrorKind::Truncated, message)
    }

    /// Reads some bytes once.
    fn read_once(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let body = match &mut self.body {
            Some(body) => body,
            None => {
                let body = self.go_on()?;
                self.body.insert(body)
            }
        };
        let read =
            body.read(buffer).map_err(|e| of_body(&self.peer.origin, e).within(self.digest))?;
        if read as u64 > self.size - self.at {
            return Err(self.wanted().too_large(&self.peer));
        }
        if read == 0 && self.at < self.size {
            return Err(self.truncated());
        }
        Ok(read)
    }

    /// Whether all is what it should be, at the end.
    fn check(&mut self) -> Result<()> {
        let Some(hash) = self.hash.take() else { return Ok(()) };
        let found = Digest::finish(hash);
        if found == self.digest {
            return Ok(());
        }
        let message = format!("{}: {} sends {found} in its place", self.digest, self.peer.origin);
        Err(Error::new(ErrorKind::DigestMismatch, message))
    }
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.read_once(buffer) {
                Ok(0) => {
                    self.check()?;
                    return Ok(0);
                }
                Ok(read) => {
                    self.failures = 0;
                    self.at += read as u64;
                    if let Some(hash) = &mut self.hash {
                        hash.update(&buffer[..read]);
                    }
                    return Ok(read);
                }
                Err(error) => {
                    self.body = None;
                    self.failures += 1;
                    self.pause(error)?;
                }
            }
        }
    }
}

impl Blob<'_> {
    /// Waits until the next attempt, if there is to be one.
    fn pause(&self, error: Error) -> Result<()> {
        let patience = &self.client.connections.patience;
        let pause = error.retry_after().unwrap_or_else(|| patience.after(self.failures));
        if !error.passes() || self.failures >= patience.attempts || pause > patience.longest_pause {
            return Err(error);
        }
        std::thread::sleep(pause);
        Ok(())
    }
}
