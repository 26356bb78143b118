//! Docker's own formats.

use serde::Serialize;

use super::images::{Saved, layers};
use super::sink::Sink;
use crate::digest::Digest;
use crate::error::Result;
use crate::export::Dialect;
use crate::store::{Store, encode};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage<'a> {
    config: String,
    repo_tags: &'a [String],
    layers: Vec<String>,
}

fn config_name(image: &Saved) -> String {
    format!("{}.json", Digest::of(&image.source.config).hex())
}

fn layer_name(diff_id: &Digest) -> String {
    format!("{}.tar", diff_id.hex())
}

/// Writes an archive as of `docker save`. What leads to the rest comes first, so that it can be read while it comes.
pub(super) fn save(store: &Store, images: &[Saved], sink: &mut impl Sink) -> Result<()> {
    let listed: Vec<_> = images
        .iter()
        .map(|image| SavedImage {
            config: config_name(image),
            repo_tags: &image.names,
            layers: image.source.diff_ids.iter().map(layer_name).collect(),
        })
        .collect();
    sink.bytes("manifest.json", &encode(&listed)?)?;
    for image in images {
        sink.bytes(&config_name(image), &image.source.config)?;
    }
    for diff_id in layers(images) {
        sink.layer(store, &layer_name(&diff_id), &diff_id)?;
    }
    Ok(())
}

/// Writes one image's manifest and its blobs by their digests, as of containers-transports(5)'s `dir:`.
pub(super) fn save_directory(store: &Store, image: &Saved, sink: &mut impl Sink) -> Result<()> {
    sink.bytes("version", b"Directory Transport Version: 1.1\n")?;
    sink.bytes("manifest.json", &image.manifest(store, Dialect::Docker)?)?;
    sink.bytes(&Digest::of(&image.source.config).hex(), &image.source.config)?;
    for diff_id in layers([image]) {
        sink.layer(store, &diff_id.hex(), &diff_id)?;
    }
    Ok(())
}
