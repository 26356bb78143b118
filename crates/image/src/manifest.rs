//! Manifests, indexes and configurations: their media types, and one reading of each or a refusal
//! ([manifest](https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md),
//! [index](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md)).

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, MediaType, Os};
use serde_json::{Map, Value};

use crate::compression::Compression;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};

pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// Whether a configuration of this type is an image's. Artifacts (signatures, charts) have others.
pub(crate) fn is_image_config(media_type: &MediaType) -> bool {
    *media_type == MediaType::ImageConfig || media_type.as_ref() == DOCKER_CONFIG
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
pub(crate) fn document(
    name: &str,
    bytes: &[u8],
    expected: Option<&MediaType>,
    foreign: &str,
) -> Result<()> {
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

pub(crate) fn compression(media_type: &MediaType) -> Result<Compression> {
    use MediaType as M;
    match media_type {
        M::ImageLayer | M::ImageLayerNonDistributable => Ok(Compression::Plain),
        M::ImageLayerGzip | M::ImageLayerNonDistributableGzip => Ok(Compression::Gzip),
        M::ImageLayerZstd | M::ImageLayerNonDistributableZstd => Ok(Compression::Zstd),
        other => match other.as_ref() {
            DOCKER_LAYER => Ok(Compression::Plain),
            DOCKER_LAYER_GZIP => Ok(Compression::Gzip),
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
