//! Downloading one blob: to its partial file, and to whoever unpacks it.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::atomic::Ordering;

use sha2::{Digest as _, Sha256};

use super::partial::Partial;
use super::pipe::{PIECE, Sender};
use super::plan::Blob;
use super::{Progress, Pull, stopped};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind};
use crate::store::check;

/// How often a stream that broke off is asked for again, at most, until it has brought this many bytes.
const TRIES: u32 = 5;
const WORTH: u64 = 1 << 20;

/// Why a download ended before its end.
pub(super) enum Broken {
    /// Nobody takes what comes: who unpacks has failed, and says why.
    Unwanted,
    Failed(Error),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

pub(super) struct Download<'a> {
    pull: &'a Pull<'a>,
    blob: &'a Blob,
    partial: &'a Partial<'a>,
    sender: Sender,
    hash: Sha256,
    /// Bytes that are here.
    at: u64,
}

impl<'a> Download<'a> {
    pub(super) fn new(
        pull: &'a Pull<'a>,
        blob: &'a Blob,
        partial: &'a Partial<'a>,
        sender: Sender,
    ) -> Self {
        Self { pull, blob, partial, sender, hash: Sha256::new(), at: 0 }
    }

    /// Brings the blob whole, and checks that it is the one that was promised.
    pub(super) fn run(mut self) -> Result<(), Broken> {
        self.take_partial()?;
        let (mut tries, mut good) = (TRIES, self.at);
        while self.at < self.blob.size {
            let before = self.at;
            let Err(error) = self.stream()? else { break };
            if self.at - good >= WORTH {
                (tries, good) = (TRIES, self.at);
            }
            tries -= 1;
            if tries == 0 || self.at == before {
                let message = format!(
                    "the download of {} broke off after {} of {} bytes",
                    self.blob.digest, self.at, self.blob.size
                );
                return Err(Error::new(ErrorKind::Remote, message).because(error).into());
            }
        }
        let what = format!("blob {}", self.blob.digest);
        check(&what, Some(self.blob.digest), Digest::finish(self.hash))?;
        self.sender.finish();
        Ok(())
    }

    /// Takes what an earlier pull left as if it came now.
    fn take_partial(&mut self) -> Result<(), Broken> {
        let failed = |e| Error::new(ErrorKind::Io, "reading a partial download failed").because(e);
        let mut file = &self.partial.file;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = file.read(&mut piece).map_err(failed)?;
            if read == 0 {
                return Ok(());
            }
            self.pass_on(&piece[..read])?;
        }
    }

    /// Reads one stream of the remote's; gives the error with which it broke off.
    fn stream(&mut self) -> Result<io::Result<()>, Broken> {
        let Blob { digest, size, foreign, .. } = *self.blob;
        let remote = |message: String| Error::new(ErrorKind::Remote, message);
        let blob = self.pull.remote.blob(&digest, size, self.at).map_err(|cause| {
            let elsewhere = match foreign {
                true => ", which its image says to fetch from elsewhere: that is not supported",
                false => "",
            };
            remote(format!("the registry did not give blob {digest}{elsewhere}")).because(cause)
        })?;
        let mut known = self.at.checked_sub(blob.from).ok_or_else(|| {
            let (at, from) = (self.at, blob.from);
            remote(format!(
                "the registry was asked for blob {digest} from {at}, and gave it from {from}"
            ))
        })?;
        let mut reader = blob.reader;
        let mut piece = vec![0; PIECE];
        loop {
            if self.pull.stop.load(Ordering::Relaxed) {
                return Err(stopped().into());
            }
            let read = match reader.read(&mut piece) {
                Ok(0) if self.at < size => return Ok(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(0) => return Ok(Ok(())),
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                // All is here: how the connection ends is of no interest.
                Err(_) if self.at == size => return Ok(Ok(())),
                Err(e) => return Ok(Err(e)),
            };
            let skip = usize::try_from(known).unwrap_or(usize::MAX).min(read);
            known -= skip as u64;
            let new = &piece[skip..read];
            if new.len() as u64 > size - self.at {
                let message =
                    format!("the registry gives more than the {size} bytes of blob {digest}");
                return Err(Error::new(ErrorKind::Mismatch, message).into());
            }
            (&self.partial.file).write_all(new).map_err(|e| {
                Error::new(ErrorKind::Io, "writing a download to the store failed").because(e)
            })?;
            self.pass_on(new)?;
        }
    }

    fn pass_on(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.hash.update(bytes);
        self.at += bytes.len() as u64;
        let Blob { digest, .. } = *self.blob;
        (self.pull.progress)(Progress::Received { digest, bytes: self.at });
        match self.sender.send(bytes) {
            true => Ok(()),
            false => Err(Broken::Unwanted),
        }
    }
}
