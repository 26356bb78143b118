//! Layers are downloaded and unpacked at the same time, several at once.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::download::{Broken, Download};
use super::partial::Partial;
use super::pipe::{Pipe, pipe};
use super::plan::Blob;
use super::{Progress, Pull};
use crate::compression::{decode_in_turn, drain, recognise};
use crate::error::{Error, ErrorKind, Result};
use crate::store::{EndMark, StagedLayer, check};

/// The most downloads at once: more make neither a network nor a registry faster.
const DOWNLOADS: usize = 4;

impl Pull<'_> {
    /// Brings these layers, and gives what holds them in the store.
    pub(super) fn bring(&self, blobs: &[Blob]) -> Result<Vec<OwnedFd>> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicUsize::new(0);
        let (held, failed) = (Mutex::new(Vec::new()), Mutex::new(None));
        std::thread::scope(|scope| {
            for _ in 0..cores.min(DOWNLOADS).min(blobs.len()) {
                scope.spawn(|| {
                    while let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed))
                        && !self.stop.load(Ordering::Relaxed)
                    {
                        match self.layer(blob) {
                            Ok(layer) => lock(&held).push(layer),
                            Err(error) => {
                                // The first is the cause: the others stop because of it.
                                lock(&failed).get_or_insert(error);
                                self.stop.store(true, Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
        });
        match lock(&failed).take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut lock(&held))),
        }
    }

    fn layer(&self, blob: &Blob) -> Result<OwnedFd> {
        let partial = Partial::open(self.store, &blob.digest, &self.stop)?;
        // Whoever had the blob until now may have been after the same.
        if let Some(layer) = self.store.hold_whole_layer(&blob.diff_id)? {
            partial.remove();
            (self.progress)(Progress::Done { digest: blob.digest });
            return Ok(layer);
        }
        let empty = |e| Error::new(ErrorKind::Io, "emptying a partial download failed").because(e);
        let begun = partial.file.metadata().map_or(0, |metadata| metadata.len());
        if begun > blob.size {
            partial.file.set_len(0).map_err(empty)?;
        }
        let brought = match self.attempt(blob, &partial) {
            // What an earlier pull left may be at fault: power loss spoils files that were not synced.
            Err(e) if begun > 0 && e.kind() != ErrorKind::Remote && !e.is_no_space() => {
                partial.file.set_len(0).map_err(empty)?;
                self.attempt(blob, &partial)
            }
            brought => brought,
        };
        match brought {
            Ok(layer) => {
                partial.remove();
                (self.progress)(Progress::Done { digest: blob.digest });
                Ok(layer)
            }
            Err(error) => {
                let stopped = self.stop.load(Ordering::Relaxed);
                let resumable = error.kind() == ErrorKind::Remote || stopped;
                let begun = partial.file.metadata().is_ok_and(|metadata| metadata.len() > 0);
                if !(resumable && begun) || error.is_no_space() {
                    partial.remove();
                }
                Err(error)
            }
        }
    }

    /// Downloads and unpacks, then puts the layer in its place.
    fn attempt(&self, blob: &Blob, partial: &Partial<'_>) -> Result<OwnedFd> {
        let (sender, receiver) = pipe();
        let (downloaded, unpacked) = std::thread::scope(|scope| {
            let download = scope.spawn(|| Download::new(self, blob, partial, sender).run());
            let unpacked = self.unpack(blob, receiver);
            let downloaded = download.join();
            (downloaded.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), unpacked)
        });
        let layer = match (downloaded, unpacked) {
            (Err(Broken::Failed(error)), _) | (_, Err(error)) => return Err(error),
            (Err(Broken::Unwanted), Ok(_)) => {
                let message = format!("blob {} goes on after its end", blob.digest);
                return Err(Error::malformed(message));
            }
            (Ok(()), Ok(layer)) => layer,
        };
        let store = self.store;
        rustix::fs::syncfs(self.staging.fd()).map_err(|e| Error::call("syncfs", "tmp", e))?;
        let missing = || Error::new(ErrorKind::Busy, "a layer was removed as it came");
        {
            // Held from here on: nobody removes anything while the lock is shared.
            let _lock = store.lock_shared()?;
            store.place_layer(&self.staging, &layer)?;
            rustix::fs::fsync(store.layers.as_fd())
                .map_err(|e| Error::call("fsync", "layers", e))?;
            store.hold_whole_layer(&blob.diff_id)?.ok_or_else(missing)
        }
    }

    fn unpack(&self, blob: &Blob, pipe: Pipe) -> Result<StagedLayer> {
        let what = format!("layer {}", blob.digest);
        let (found, mut input) = recognise(pipe, &what)?;
        let stream = decode_in_turn(found, &mut input, &self.large);
        let layer =
            self.store.stage(&self.staging, stream, EndMark::Optional, &what, &self.budget)?;
        drain(input, &what)?;
        check(&what, Some(blob.diff_id), layer.diff_id)?;
        Ok(layer)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
