//! Manifests, indexes and configurations: their media types, and one reading of each or a refusal
//! ([manifest](https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md),
//! [index](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md)).

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, Os};
use serde_json::{Map, Value};

use crate::compression::Compression;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};

pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
pub(crate) const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// No standard's, and written all the same.
const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
/// Of Windows' base images, once; of what may not be passed on, still.
const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";
const DOCKER_FOREIGN_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
/// How the types of all layers begin, those included that are not read here (encrypted ones).
const LAYER_PREFIXES: [&str; 2] =
    ["application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs."];

/// An annotation: the full name, where containerd and BuildKit write it.
pub(crate) const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Whether a configuration of this type is an image's. Artifacts (signatures, charts) have others.
pub(crate) fn is_image_config(media_type: &MediaType) -> bool {
    *media_type == MediaType::ImageConfig || media_type.as_ref() == DOCKER_CONFIG
}

/// What a manifest was found to describe.
pub(crate) enum ImageDocument<T> {
    Image(T),
    /// Something else that registries and layouts keep, of this type: a signature, an attestation, a chart.
    Artifact(String),
}

/// Reads a manifest, and finds out whether it is an image's.
pub(crate) fn read_manifest(
    name: &str,
    bytes: &[u8],
    media_type: &MediaType,
) -> Result<ImageDocument<ImageManifest>> {
    document(name, bytes, Some(media_type), "manifests")?;
    let manifest: ImageManifest = json(name, bytes)?;
    let config = manifest.config().media_type();
    if !is_image_config(config) {
        let of = manifest.artifact_type().as_ref().unwrap_or(config);
        return Ok(ImageDocument::Artifact(of.to_string()));
    }
    // Signatures and attestations may come with an image's configuration for the sake of old registries.
    let foreign = manifest.layers().iter().map(Descriptor::media_type).find(|media_type| {
        !LAYER_PREFIXES.iter().any(|prefix| media_type.as_ref().starts_with(prefix))
    });
    match foreign {
        Some(of) => Ok(ImageDocument::Artifact(of.to_string())),
        None => Ok(ImageDocument::Image(manifest)),
    }
}

/// The error when something else was asked to be an image.
pub(crate) fn not_an_image(what: &str, of: &str) -> Error {
    let message = format!("{what} is no image that can run, but an artifact of type {of}");
    Error::new(ErrorKind::Unsupported, message)
}

/// Whether documents of this type lead to others.
pub(crate) fn is_index(media_type: &MediaType) -> bool {
    *media_type == MediaType::ImageIndex || media_type.as_ref() == DOCKER_LIST
}

/// Whether a document of this type can be, or lead to, an image.
pub(crate) fn is_known(media_type: &MediaType) -> bool {
    *media_type == MediaType::ImageManifest
        || media_type.as_ref() == DOCKER_MANIFEST
        || is_index(media_type)
}

/// The type that a document says it has, or shows by what is in it.
pub(crate) fn own_type(what: &str, bytes: &[u8]) -> Result<MediaType> {
    let fields: Map<String, Value> = json(what, bytes)?;
    Ok(match fields.get("mediaType").and_then(Value::as_str) {
        Some(said) => MediaType::from(said),
        None if fields.contains_key("manifests") => MediaType::ImageIndex,
        None => MediaType::ImageManifest,
    })
}

pub(crate) fn read_index(
    name: &str,
    bytes: &[u8],
    media_type: Option<&MediaType>,
) -> Result<ImageIndex> {
    document(name, bytes, media_type, "layers")?;
    json(name, bytes)
}

/// Refuses what could be read as another kind of document than the one it is taken for.
fn document(name: &str, bytes: &[u8], expected: Option<&MediaType>, foreign: &str) -> Result<()> {
    let fields: Map<String, Value> = json(name, bytes)?;
    let foreign = [foreign, "fsLayers", "history"];
    if foreign.iter().any(|key| fields.contains_key(*key))
        || fields.contains_key("manifests") && fields.contains_key("config")
    {
        return Err(Error::malformed(format!("{name} is both a manifest and an index")));
    }
    let said = fields.get("mediaType").and_then(Value::as_str);
    match (said, expected) {
        (Some(said), Some(expected)) if said != expected.as_ref() => Err(Error::malformed(
            format!("{name} says it is {said}, and what led to it says {}", expected.as_ref()),
        )),
        _ => Ok(()),
    }
}

pub(crate) fn check_size(name: &str, descriptor: &Descriptor, size: u64) -> Result<()> {
    match descriptor.size() {
        promised if promised == size => Ok(()),
        promised => Err(Error::new(
            ErrorKind::Mismatch,
            format!("{name} should have {promised} bytes, and has {size}"),
        )),
    }
}

pub(crate) fn digest(descriptor: &Descriptor) -> Result<Digest> {
    descriptor.digest().to_string().parse()
}

/// How a layer of this type is said to be compressed. Others than plain tar streams, and such ones compressed, are
/// refused.
///
/// When a layer is read its first bytes count, and not this: Skopeo and Podman write uncompressed layers under the type
/// of compressed ones. Which stream it must turn out to be, the configuration says.
pub(crate) fn compression(media_type: &MediaType) -> Result<Compression> {
    use MediaType as M;
    match media_type {
        M::ImageLayer | M::ImageLayerNonDistributable => Ok(Compression::Plain),
        M::ImageLayerGzip | M::ImageLayerNonDistributableGzip => Ok(Compression::Gzip),
        M::ImageLayerZstd | M::ImageLayerNonDistributableZstd => Ok(Compression::Zstd),
        other => match other.as_ref() {
            DOCKER_LAYER | DOCKER_FOREIGN_LAYER => Ok(Compression::Plain),
            DOCKER_LAYER_GZIP | DOCKER_FOREIGN_LAYER_GZIP => Ok(Compression::Gzip),
            DOCKER_LAYER_ZSTD => Ok(Compression::Zstd),
            other => Err(Error::new(
                ErrorKind::Unsupported,
                format!("layers of the type {other} are not supported"),
            )),
        },
    }
}

/// Reads a configuration and refuses one for another operating system.
pub(crate) fn read_config(bytes: &[u8]) -> Result<ImageConfiguration> {
    let config: ImageConfiguration = json("the image's configuration", bytes)?;
    match config.os() {
        Os::Linux => Ok(config),
        other => Err(Error::new(
            ErrorKind::Unsupported,
            format!("an image for {other} can't run on Linux"),
        )),
    }
}

/// The digests of the uncompressed layers, bottom first.
pub(crate) fn diff_ids(config: &ImageConfiguration) -> Result<Vec<Digest>> {
    config.rootfs().diff_ids().iter().map(|diff_id| diff_id.parse()).collect()
}

pub(crate) fn json<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::malformed(format!("{name} is not what it should be")).because(e))
}
