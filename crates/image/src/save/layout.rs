//! The OCI image layout: `index.json` leads to manifests, and they to configurations and layers, all by digest
//! ([image layout](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md)).

use std::collections::BTreeMap;

use oci_spec::image::ANNOTATION_REF_NAME;
use serde::Serialize;

use super::images::{Saved, layers};
use super::sink::Sink;
use crate::digest::Digest;
use crate::error::Result;
use crate::export::Dialect;
use crate::manifest::CONTAINERD_NAME;
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

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Writes a layout. What leads to the rest comes first, so that it can be read while it comes.
pub(super) fn save(store: &Store, images: &[Saved], sink: &mut impl Sink) -> Result<()> {
    let mut manifests = Vec::new();
    let mut entries = Vec::new();
    for image in images {
        let manifest = image.manifest(store, Dialect::Oci)?;
        let entry = |annotations| Entry {
            media_type: Dialect::Oci.manifest(),
            digest: Digest::of(&manifest),
            size: manifest.len() as u64,
            annotations,
        };
        // Podman and Skopeo look for the one, Docker, containerd and BuildKit for the other.
        let named = |name: &String| {
            entry(BTreeMap::from([
                (ANNOTATION_REF_NAME, name.clone()),
                (CONTAINERD_NAME, name.clone()),
            ]))
        };
        match image.names.is_empty() {
            true => entries.push(entry(BTreeMap::new())),
            false => entries.extend(image.names.iter().map(named)),
        }
        manifests.push(manifest);
    }
    sink.bytes("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let media_type = "application/vnd.oci.image.index.v1+json";
    sink.bytes(
        "index.json",
        &encode(&Index { schema_version: 2, media_type, manifests: entries })?,
    )?;
    for (image, manifest) in images.iter().zip(&manifests) {
        sink.bytes(&blob(&Digest::of(manifest)), manifest)?;
        let config = &image.source.config;
        sink.bytes(&blob(&Digest::of(config)), config)?;
    }
    for diff_id in layers(images) {
        sink.layer(store, &blob(&diff_id), &diff_id)?;
    }
    Ok(())
}
