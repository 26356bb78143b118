//! A registry in memory, to be pushed to.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "a test uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Mutex;

use sandbar_image::{Cause, Destination, Digest, ManifestName, OutgoingBlob};
use serde_json::Value;

use crate::harness::Oci;
use crate::remote::Memory;

/// A repository in memory.
#[derive(Default)]
pub struct Registry {
    pub blobs: Mutex<BTreeMap<Digest, Vec<u8>>>,
    pub manifests: Mutex<BTreeMap<String, (Vec<u8>, String)>>,
    /// What other repositories of it have.
    pub elsewhere: BTreeMap<String, BTreeSet<Digest>>,
    /// The blobs that were sent.
    pub sent: Mutex<Vec<Digest>>,
    /// After so many blobs it takes no more.
    pub most: Option<usize>,
}

impl Destination for Registry {
    fn has_blob(&self, digest: &Digest, others: &[&str]) -> Result<bool, Cause> {
        let mut elsewhere = others.iter().filter_map(|other| self.elsewhere.get(*other));
        Ok(self.blobs.lock().unwrap().contains_key(digest)
            || elsewhere.any(|blobs| blobs.contains(digest)))
    }

    fn put_blob(&self, blob: &OutgoingBlob<'_>) -> Result<(), Cause> {
        if self.has_blob(&blob.digest, &[])? {
            return Ok(());
        }
        let mut bytes = Vec::new();
        (blob.open)()?.read_to_end(&mut bytes)?;
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (blob.digest, blob.size));
        let mut sent = self.sent.lock().unwrap();
        if self.most.is_some_and(|most| sent.len() >= most) {
            return Err("the disk is full".into());
        }
        sent.push(blob.digest);
        self.blobs.lock().unwrap().insert(blob.digest, bytes);
        Ok(())
    }

    fn put_manifest(&self, name: &ManifestName, bytes: &[u8], kind: &str) -> Result<(), Cause> {
        let put = (bytes.to_vec(), kind.to_owned());
        self.manifests.lock().unwrap().insert(name.to_string(), put);
        Ok(())
    }
}

impl Registry {
    pub fn sent(&self) -> usize {
        std::mem::take(&mut *self.sent.lock().unwrap()).len()
    }

    /// What was put under a tag, with the type that it was put with.
    pub fn manifest(&self, tag: &str) -> Value {
        let (bytes, kind) = self.manifests.lock().unwrap()[tag].clone();
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(manifest["mediaType"], kind);
        manifest
    }
}

impl Registry {
    /// The same, to be pulled from; what has this tag is its `latest`.
    pub fn to_pull(&self, tag: &str) -> Memory {
        let mut oci = Oci::default();
        for bytes in self.blobs.lock().unwrap().values() {
            oci.blob("", bytes);
        }
        for (bytes, _) in self.manifests.lock().unwrap().values() {
            oci.blob("", bytes);
        }
        let top = oci.blob("", &self.manifests.lock().unwrap()[tag].0);
        Memory::new(oci, &top)
    }
}
