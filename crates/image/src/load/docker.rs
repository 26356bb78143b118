//! Docker's own format: a `manifest.json` that lists configurations, names and layers by path.

use oci_spec::image::ImageConfiguration;
use serde::Deserialize;

use super::archive::normal;
use super::members::Members;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::manifest::{diff_ids, read_config};
use crate::platform::Platform;
use crate::reference::{Home, Reference};
use crate::store::{NewImage, NewLayer, check};

const MANIFEST: &str = "manifest.json";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// All images, or those for `platform`.
pub(super) fn read(members: &Members, platform: Option<&Platform>) -> Result<Vec<NewImage>> {
    let saved: Vec<SavedImage> = serde_json::from_slice(&members.document(MANIFEST)?)
        .map_err(|e| Error::malformed("manifest.json is not what docker save writes").because(e))?;
    let mut images = Vec::with_capacity(saved.len());
    let mut unfit = None;
    for image in saved {
        let path = normal("", image.config.as_bytes())?;
        let config = members.document(&path)?;
        check(&path, promised(&path), Digest::of(&config))?;
        let parsed = read_config(&config)?;
        match platform.map_or(Ok(()), |platform| platform.require(&path, &parsed)) {
            Ok(()) => images.push(read_image(members, image, &path, (config, &parsed))?),
            Err(other) => unfit = Some(other),
        }
    }
    match (images.is_empty(), unfit) {
        (true, Some(unfit)) => Err(unfit),
        _ => Ok(images),
    }
}

fn read_image(
    members: &Members,
    saved: SavedImage,
    path: &str,
    (config, parsed): (Vec<u8>, &ImageConfiguration),
) -> Result<NewImage> {
    let diff_ids = diff_ids(parsed)?;
    let paths = saved.layers.unwrap_or_default();
    if paths.len() != diff_ids.len() {
        return Err(Error::malformed(format!(
            "manifest.json lists {} layers, and {path} {}",
            paths.len(),
            diff_ids.len()
        )));
    }
    let mut layers = Vec::with_capacity(paths.len());
    for (path, diff_id) in paths.iter().zip(diff_ids) {
        let path = normal("", path.as_bytes())?;
        let digest = path.starts_with("blobs/").then(|| promised(&path)).flatten();
        let blob = Some(members.blob(&path)?);
        layers.push(NewLayer { diff_id, blob, digest });
    }
    let references = saved
        .repo_tags
        .unwrap_or_default()
        .iter()
        .map(|name| {
            let name = Reference::parse(name, Home::DockerHub)?;
            // No manifest is in such an archive: the configuration's digest is all that can be proved.
            name.require_digest_of(&[Digest::of(&config)]).map(|()| name)
        })
        .collect::<Result<_>>()?;
    Ok(NewImage { config, manifest: None, layers, references })
}

/// The digest that a member's name promises: `<hex>.json` or `blobs/sha256/<hex>`.
fn promised(path: &str) -> Option<Digest> {
    let hex = match path.strip_prefix("blobs/") {
        Some(blob) => blob.strip_prefix("sha256/")?,
        None => path.strip_suffix(".json")?,
    };
    Digest::from_hex(hex)
}
