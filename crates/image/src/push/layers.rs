//! One layer on its way: found at the destination, or packed and sent.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::AtFlags;

use super::side_by_side::lock;
use super::{OutgoingBlob, Push, PushProgress, refused};
use crate::compression::Compression;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Part, pack};
use crate::tarball::Section;

/// The most repositories that a blob is looked for in besides the destination.
const REPOSITORIES: usize = 3;

impl Push<'_> {
    /// Whether the destination has, or can have without sending, a layer as this blob.
    pub(super) fn has(&self, diff_id: &Digest, part: &Part) -> Result<bool> {
        let known = self.blobs.get(diff_id).into_iter().flatten().find(|known| known.part == *part);
        let others = known.into_iter().flat_map(|known| &known.repositories);
        let others: Vec<_> = others.map(String::as_str).take(REPOSITORIES).collect();
        self.destination.has_blob(&part.digest, &others).map_err(|cause| {
            refused(format!("the registry did not say whether it has blob {}", part.digest), cause)
        })
    }

    /// Sees to it that the destination has a layer, as whatever blob.
    pub(super) fn layer(&self, diff_id: &Digest) -> Result<Part> {
        for known in self.blobs.get(diff_id).into_iter().flatten() {
            let fits = |compression| compression == known.part.compression;
            if self.compression.is_none_or(fits) && self.has(diff_id, &known.part)? {
                (self.progress)(PushProgress::Present { layer: *diff_id });
                return Ok(known.part);
            }
        }
        let stream = self.store.layer_stream(diff_id)?;
        let size = stream.size();
        let compression = self.compression.unwrap_or(Compression::Gzip);
        if compression == Compression::Plain {
            let part = Part { digest: *diff_id, size, compression };
            let open = || {
                self.go_on()?;
                let stream = self.store.layer_stream(diff_id).map_err(io::Error::other)?;
                Ok(Box::new(self.outgoing(stream, *diff_id, size)) as Box<dyn Read>)
            };
            let blob = OutgoingBlob { digest: *diff_id, size, open: &open };
            return self.send(diff_id, part, &blob);
        }
        (self.progress)(PushProgress::Packing { layer: *diff_id, size });
        let file = self.nameless()?;
        let part = pack(stream, compression, &file, &self.stop)
            .map_err(|e| unreadable("compressing", diff_id, e))?;
        let section = Section::new(Arc::new(file), 0, part.size);
        let open = || {
            self.go_on()?;
            Ok(Box::new(self.outgoing(section.clone(), *diff_id, part.size)) as Box<dyn Read>)
        };
        let blob = OutgoingBlob { digest: part.digest, size: part.size, open: &open };
        self.send(diff_id, part, &blob)
    }

    fn send(&self, diff_id: &Digest, part: Part, blob: &OutgoingBlob<'_>) -> Result<Part> {
        self.destination.put_blob(blob).map_err(|cause| {
            let refused = || refused(format!("the registry did not take layer {diff_id}"), cause);
            // The registry can't help it if there was nothing to be sent.
            lock(&self.unreadable).take().unwrap_or_else(refused)
        })?;
        (self.progress)(PushProgress::Done { layer: *diff_id });
        Ok(part)
    }

    /// A file that is gone when it is closed.
    fn nameless(&self) -> Result<File> {
        let name = self.staging.unique("blob");
        let file = self.staging.file(&name)?;
        rustix::fs::unlinkat(self.staging.fd(), &name, AtFlags::empty())
            .map_err(|e| Error::call("unlinkat", format!("tmp/{name}"), e))?;
        Ok(file)
    }

    /// Fails if another part of the push has.
    fn go_on(&self) -> io::Result<()> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(io::Error::other("another part of the push has failed")),
            false => Ok(()),
        }
    }

    fn outgoing<R: Read>(&self, inner: R, layer: Digest, size: u64) -> Outgoing<'_, R> {
        Outgoing { inner, push: self, layer, size, bytes: 0 }
    }
}

/// Tells what is read, and ends when another layer has failed. If it can't be read itself, the push ends.
struct Outgoing<'a, R> {
    inner: R,
    push: &'a Push<'a>,
    layer: Digest,
    size: u64,
    bytes: u64,
}

impl<R: Read> Outgoing<'_, R> {
    /// Reads once; before the last byte is given, the end must be right, which a layer's stream finds out there.
    fn some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if read > 0 && self.bytes + read as u64 == self.size {
            io::copy(&mut self.inner, &mut io::sink())?;
        }
        Ok(read)
    }
}

impl<R: Read> Read for Outgoing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.push.go_on()?;
        let read = match self.some(buffer) {
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
            Err(e) => {
                self.push.stop.store(true, Ordering::Relaxed);
                let error = unreadable("reading", &self.layer, e);
                lock(&self.push.unreadable).get_or_insert(error);
                return Err(io::Error::other("the layer could not be read"));
            }
        };
        self.bytes += read as u64;
        let Self { layer, size, bytes, .. } = *self;
        (self.push.progress)(PushProgress::Sent { layer, bytes, size });
        Ok(read)
    }
}

/// A layer of the store is damaged, or the system fails.
fn unreadable(doing: &str, layer: &Digest, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::InvalidData => ErrorKind::Corrupt,
        _ => ErrorKind::Io,
    };
    Error::new(kind, format!("{doing} layer {layer} failed")).because(error)
}
