//! A remote in memory, which can be asked to misbehave.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "a test uses a part of it")]

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sandbar_image::{Cause, Digest, ManifestName, Remote, RemoteBlob, RemoteManifest};
use serde_json::Value;

use crate::harness::{INDEX, Oci};

/// What happens to the streams of blobs larger than 4,096 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The connection breaks after so many bytes, every time.
    Break(u64),
    /// It ends after so many, as if that were all.
    Truncate(u64),
    /// One byte in the middle is another.
    Lie,
    /// More comes than was promised.
    More,
    /// Nothing comes for a moment.
    Stall,
}

pub struct Memory {
    pub manifests: BTreeMap<String, (Vec<u8>, String)>,
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub fault: Mutex<Fault>,
    /// Streams always begin at 0.
    pub no_range: bool,
    pub manifest_requests: AtomicU32,
    /// The blobs that were asked for, and from where.
    pub asked: Mutex<Vec<(Digest, u64)>>,
}

impl Memory {
    /// Has all blobs of `oci`, also as manifests, and its image or index as `latest`.
    pub fn new(oci: Oci, top: &Value) -> Self {
        let blobs: BTreeMap<_, _> = oci
            .0
            .into_iter()
            .map(|(path, bytes)| (path.replace("blobs/sha256/", "sha256:"), bytes))
            .collect();
        let mut manifests = BTreeMap::new();
        for (digest, bytes) in &blobs {
            let Ok(value) = serde_json::from_slice::<Value>(bytes) else { continue };
            if let Some(media_type) = value["mediaType"].as_str() {
                manifests.insert(digest.clone(), (bytes.clone(), media_type.to_owned()));
            }
        }
        let latest = manifests[top["digest"].as_str().unwrap()].clone();
        manifests.insert("latest".to_owned(), latest);
        Self {
            manifests,
            blobs,
            fault: Mutex::new(Fault::None),
            no_range: false,
            manifest_requests: AtomicU32::new(0),
            asked: Mutex::default(),
        }
    }

    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    pub fn requests(&self) -> (u32, usize) {
        let blobs = std::mem::take(&mut *self.asked.lock().unwrap()).len();
        (self.manifest_requests.swap(0, Ordering::SeqCst), blobs)
    }
}

pub fn index(oci: &mut Oci, manifests: &[Value]) -> Value {
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    oci.blob(INDEX, index.to_string().as_bytes())
}

impl Remote for Memory {
    fn manifest(&self, which: &ManifestName) -> Result<RemoteManifest, Cause> {
        self.manifest_requests.fetch_add(1, Ordering::SeqCst);
        let found = self.manifests.get(&which.to_string()).ok_or("MANIFEST_UNKNOWN")?;
        Ok(RemoteManifest { bytes: found.0.clone(), media_type: found.1.clone() })
    }

    fn blob(&self, digest: &Digest, _: u64, from: u64) -> Result<RemoteBlob<'_>, Cause> {
        self.asked.lock().unwrap().push((*digest, from));
        let mut bytes = self.blobs.get(&digest.to_string()).ok_or("BLOB_UNKNOWN")?.clone();
        let from = if self.no_range { 0 } else { from };
        let fault = *self.fault.lock().unwrap();
        if bytes.len() <= 4096 || fault == Fault::None {
            return Ok(RemoteBlob {
                reader: Box::new(Cursor::new(bytes.split_off(from as usize))),
                from,
            });
        }
        let middle = bytes.len() / 2;
        match fault {
            Fault::Lie => bytes[middle] ^= 1,
            Fault::More => bytes.push(0),
            Fault::Stall => std::thread::sleep(Duration::from_millis(50)),
            _ => {}
        }
        let rest = Cursor::new(bytes.split_off(from as usize));
        let reader: Box<dyn Read + Send> = match fault {
            Fault::Break(after) => Box::new(rest.take(after).chain(Broken)),
            Fault::Truncate(after) => Box::new(rest.take(after)),
            _ => Box::new(rest),
        };
        Ok(RemoteBlob { reader, from })
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionReset.into())
    }
}
