//! Manifests that are written here, the same bytes for the same image.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::compression::Compression;
use crate::digest::Digest;
use crate::error::Result;
use crate::manifest::{DOCKER_CONFIG, DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_MANIFEST};
use crate::store::encode;

/// Whose media types a manifest has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// [OCI's](https://github.com/opencontainers/image-spec/blob/v1.1.1/media-types.md).
    Oci,
    /// [Docker's schema 2](https://github.com/distribution/distribution/blob/v2.8.3/docs/spec/manifest-v2-2.md).
    Docker,
}

impl Dialect {
    pub(crate) const fn manifest(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => DOCKER_MANIFEST,
        }
    }

    const fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => DOCKER_CONFIG,
        }
    }

    const fn layer(self, compression: Compression) -> &'static str {
        match (self, compression) {
            (Self::Oci, Compression::Plain) => "application/vnd.oci.image.layer.v1.tar",
            (Self::Oci, Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            (Self::Oci, Compression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
            (Self::Docker, Compression::Plain) => DOCKER_LAYER,
            (Self::Docker, Compression::Gzip) => DOCKER_LAYER_GZIP,
            // Nobody's specification has it; containerd and BuildKit know it by this name.
            (Self::Docker, Compression::Zstd) => {
                "application/vnd.docker.image.rootfs.diff.tar.zstd"
            }
        }
    }
}

/// A layer's blob, or the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    pub(crate) compression: Compression,
}

/// Fields in the order in which everybody writes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: Digest,
    size: u64,
}

/// The manifest of an image with this configuration and these layers, the bottom one first.
pub(crate) fn manifest(
    dialect: Dialect,
    config: &[u8],
    layers: &[Part],
    annotations: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    encode(&Manifest {
        schema_version: 2,
        media_type: dialect.manifest(),
        config: Descriptor {
            media_type: dialect.config(),
            digest: Digest::of(config),
            size: config.len() as u64,
        },
        layers: layers
            .iter()
            .map(|layer| Descriptor {
                media_type: dialect.layer(layer.compression),
                digest: layer.digest,
                size: layer.size,
            })
            .collect(),
        annotations,
    })
}
