//! The OCI image layout: `index.json` leads to manifests, and they to configurations and layers, all by digest
//! ([image layout](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md)).

use std::collections::{BTreeMap, BTreeSet};

use oci_spec::image::ANNOTATION_REF_NAME;
use serde::Serialize;

use super::images::{Saved, add, full_name, layers};
use super::sink::Sink;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::export::Dialect;
use crate::manifest::CONTAINERD_NAME;
use crate::manifest_list::{INDEX, ManifestList, Member};
use crate::store::{Store, encode};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<Entry>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    media_type: &'static str,
    digest: Digest,
    size: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
}

/// What is written, but for the layers.
#[derive(Default)]
struct Layout {
    entries: Vec<Entry>,
    /// Indexes, manifests and configurations, each once, what leads to others first.
    documents: Vec<(Digest, Vec<u8>)>,
    written: BTreeSet<Digest>,
}

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Writes images and manifest lists. What leads to the rest comes first, so that it can be read while it comes.
pub(super) fn save(store: &Store, names: &[&str], sink: &mut impl Sink) -> Result<()> {
    let (images, lists) = find(store, names)?;
    let mut layout = Layout::default();
    for image in &images {
        let manifest = layout.image(store, image)?;
        layout.enter(Dialect::Oci.manifest(), &manifest, &image.names);
    }
    let mut members = Vec::new();
    for list in lists {
        layout.list(store, list, &mut members)?;
    }
    sink.bytes("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let Layout { entries, documents, .. } = layout;
    let index = Index { schema_version: 2, media_type: INDEX, manifests: entries };
    sink.bytes("index.json", &encode(&index)?)?;
    for (digest, bytes) in documents {
        sink.bytes(&blob(&digest), &bytes)?;
    }
    for diff_id in layers(images.iter().chain(&members)) {
        sink.layer(store, &blob(&diff_id), &diff_id)?;
    }
    Ok(())
}

/// The images of these names, and the lists that have the others.
fn find(store: &Store, names: &[&str]) -> Result<(Vec<Saved>, Vec<ManifestList>)> {
    let (mut images, mut lists) = (Vec::new(), Vec::new());
    for name in names {
        match store.source(name) {
            Ok(source) => add(&mut images, source),
            Err(error) if error.kind() == ErrorKind::NotFound => match store.find_list(name) {
                Ok(list) if lists.contains(&list) => {}
                Ok(list) => lists.push(list),
                Err(_) => return Err(error),
            },
            Err(error) => return Err(error),
        }
    }
    Ok((images, lists))
}

impl Layout {
    fn document(&mut self, bytes: Vec<u8>) {
        let digest = Digest::of(&bytes);
        if self.written.insert(digest) {
            self.documents.push((digest, bytes));
        }
    }

    /// Takes an image's manifest, which is given back, and its configuration.
    fn image(&mut self, store: &Store, image: &Saved) -> Result<Vec<u8>> {
        let manifest = image.manifest(store, Dialect::Oci)?;
        self.document(manifest.clone());
        self.document(image.source.config.clone());
        Ok(manifest)
    }

    /// Lists a manifest or an index under each of its names.
    fn enter(&mut self, media_type: &'static str, bytes: &[u8], names: &[String]) {
        let entry = |annotations| Entry {
            media_type,
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            annotations,
        };
        // Podman and Skopeo look for the one, Docker, containerd and BuildKit for the other.
        let named = |name: &String| {
            entry(BTreeMap::from([
                (ANNOTATION_REF_NAME, name.clone()),
                (CONTAINERD_NAME, name.clone()),
            ]))
        };
        match names.is_empty() {
            true => self.entries.push(entry(BTreeMap::new())),
            false => self.entries.extend(names.iter().map(named)),
        }
    }

    /// Takes a manifest list: an index of the manifests that its images have here.
    fn list(
        &mut self,
        store: &Store,
        mut list: ManifestList,
        members: &mut Vec<Saved>,
    ) -> Result<()> {
        let at = self.documents.len();
        for member in &mut list.members {
            let image = member_image(store, &list.name.to_string(), member)?;
            let manifest = self.image(store, &image)?;
            member.digest = Digest::of(&manifest);
            member.size = manifest.len() as u64;
            Dialect::Oci.manifest().clone_into(&mut member.media_type);
            members.push(image);
        }
        let index = list.index()?;
        let names: Vec<_> = full_name(&list.name).into_iter().collect();
        self.enter(INDEX, &index, &names);
        let digest = Digest::of(&index);
        if self.written.insert(digest) {
            self.documents.insert(at, (digest, index));
        }
        Ok(())
    }
}

/// The image of a list's member.
fn member_image(store: &Store, list: &str, member: &Member) -> Result<Saved> {
    let Member { image, platform, digest, .. } = member;
    let Some(id) = image else {
        let message = format!(
            "the image of {list} for {platform} is in a registry: pull {digest}, and add it by its id"
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    };
    let source = store.source(&id.to_string());
    let source =
        source.map_err(|e| e.within(format!("the image of {list} for {platform} is needed")))?;
    Ok(Saved { source, names: Vec::new() })
}
