//! The OCI layout: `index.json` leads to manifests, and they to configurations and layers, all by digest
//! ([image layout](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md)).

use oci_spec::image::{ANNOTATION_REF_NAME, Arch, Descriptor, ImageManifest, MediaType, Os};
use serde_json::Value;

use super::archive::{Archive, blob};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::DOCUMENT;
use crate::manifest::{
    DOCKER_LIST, DOCKER_MANIFEST, check_size, compression, diff_ids, digest, document,
    is_image_config, json, read_config, read_index,
};
use crate::reference::{Home, Reference};
use crate::store::{NewImage, NewLayer, check};

/// The full name, where containerd and BuildKit write it.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// How deep an index may be within others.
const DEPTH: usize = 4;

pub(super) fn read(archive: &Archive) -> Result<Vec<NewImage>> {
    let layout: Value = json("oci-layout", &archive.document("oci-layout")?)?;
    if layout.get("imageLayoutVersion").and_then(Value::as_str) != Some("1.0.0") {
        return Err(Error::new(ErrorKind::Unsupported, "oci-layout is not of version 1.0.0"));
    }
    let bytes = archive.document("index.json")?;
    let index = read_index("index.json", &bytes, None)?;
    let mut images: Vec<NewImage> = Vec::new();
    for descriptor in index.manifests().iter().filter(|descriptor| fits(descriptor)) {
        let Some(mut image) = read_descriptor(archive, descriptor, DEPTH)? else { continue };
        image.references.extend(reference(descriptor)?);
        match images.iter_mut().find(|known| known.manifest == image.manifest) {
            Some(known) => known.references.append(&mut image.references),
            None => images.push(image),
        }
    }
    match images.is_empty() {
        true => Err(no_platform("index.json")),
        false => Ok(images),
    }
}

/// The name that an entry of `index.json` gives its image. A bare word is one of this machine.
fn reference(descriptor: &Descriptor) -> Result<Option<Reference>> {
    let annotation = |key| descriptor.annotations().as_ref().and_then(|all| all.get(key));
    match (annotation(CONTAINERD_NAME), annotation(ANNOTATION_REF_NAME)) {
        (Some(name), _) => Reference::parse(name, Home::DockerHub).map(Some),
        (None, Some(name)) => Reference::parse(name, Home::Localhost).map(Some),
        (None, None) => Ok(None),
    }
}

/// The image that a descriptor leads to; `None` for what is none for this machine.
fn read_descriptor(
    archive: &Archive,
    descriptor: &Descriptor,
    depth: usize,
) -> Result<Option<NewImage>> {
    let media_type = descriptor.media_type();
    match media_type.as_ref() {
        DOCKER_MANIFEST => {}
        DOCKER_LIST => return read_nested(archive, descriptor, depth).map(Some),
        _ if *media_type == MediaType::ImageManifest => {}
        _ if *media_type == MediaType::ImageIndex => {
            return read_nested(archive, descriptor, depth).map(Some);
        }
        _ => return Ok(None),
    }
    let (name, bytes) = verified(archive, descriptor)?;
    read_manifest(archive, &name, bytes, media_type)
}

fn read_nested(archive: &Archive, descriptor: &Descriptor, depth: usize) -> Result<NewImage> {
    let (name, bytes) = verified(archive, descriptor)?;
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| Error::malformed(format!("{name} is an index too deep within others")))?;
    let index = read_index(&name, &bytes, Some(descriptor.media_type()))?;
    for inner in index.manifests().iter().filter(|inner| fits(inner)) {
        if let Some(image) = read_descriptor(archive, inner, depth)? {
            return Ok(image);
        }
    }
    Err(no_platform(&name))
}

fn read_manifest(
    archive: &Archive,
    name: &str,
    bytes: Vec<u8>,
    media_type: &MediaType,
) -> Result<Option<NewImage>> {
    document(name, &bytes, Some(media_type), "manifests")?;
    let manifest: ImageManifest = json(name, &bytes)?;
    if !is_image_config(manifest.config().media_type()) {
        // An artifact that is no image: a signature, an attestation, a chart.
        return Ok(None);
    }
    let (config_name, config) = verified(archive, manifest.config())?;
    let diff_ids = diff_ids(&read_config(&config)?)?;
    if diff_ids.len() != manifest.layers().len() {
        return Err(Error::malformed(format!(
            "{name} lists {} layers, and {config_name} {}",
            manifest.layers().len(),
            diff_ids.len()
        )));
    }
    let mut layers = Vec::with_capacity(diff_ids.len());
    for (descriptor, diff_id) in manifest.layers().iter().zip(diff_ids) {
        let digest = digest(descriptor)?;
        let section = archive.member(&blob(&digest))?;
        check_size(&blob(&digest), descriptor, section.size())?;
        layers.push(NewLayer {
            diff_id,
            blob: Some(section),
            digest: Some(digest),
            compression: Some(compression(descriptor.media_type())?),
        });
    }
    Ok(Some(NewImage { config, manifest: Some(bytes), layers, references: Vec::new() }))
}

/// Reads a blob of at most 4 MiB, and checks its size and digest.
fn verified(archive: &Archive, descriptor: &Descriptor) -> Result<(String, Vec<u8>)> {
    let digest = digest(descriptor)?;
    let name = blob(&digest);
    if descriptor.size() > DOCUMENT {
        let message = format!("{name} has {} bytes; {DOCUMENT} are allowed", descriptor.size());
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let bytes = archive.document(&name)?;
    check_size(&name, descriptor, bytes.len() as u64)?;
    check(&name, Some(digest), Digest::of(&bytes))?;
    Ok((name, bytes))
}

/// Whether a descriptor may be for this machine. One that names no platform may.
fn fits(descriptor: &Descriptor) -> bool {
    descriptor.platform().as_ref().is_none_or(|platform| {
        *platform.os() == Os::Linux && *platform.architecture() == Arch::default()
    })
}

fn no_platform(name: &str) -> Error {
    let message = format!("{name} has no image for linux/{}", Arch::default());
    Error::new(ErrorKind::Unsupported, message)
}
