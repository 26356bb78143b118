//! Archives of images, as `docker save` and OCI tools write them.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::Rootfs;

/// An archive of `docker save`: one image of these layers, each over the one before.
#[must_use]
pub fn docker_archive(name: &str, layers: Vec<Rootfs>, config: &Value) -> Vec<u8> {
    let layers: Vec<Vec<u8>> = layers.into_iter().map(Rootfs::into_archive).collect();
    let config = image_config(&layers, config);
    let names: Vec<String> =
        (0..layers.len()).map(|number| format!("{number}/layer.tar")).collect();
    let manifest = json!([{ "Config": "config.json", "RepoTags": [name], "Layers": names }]);
    let mut archive = Rootfs::new()
        .file("manifest.json", 0o644, manifest.to_string().as_bytes())
        .file("config.json", 0o644, &config);
    for (name, layer) in names.iter().zip(&layers) {
        archive = archive.file(name, 0o644, layer);
    }
    archive.into_archive()
}

/// An archive of an OCI image layout: one image of these layers, each over the one before.
#[must_use]
pub fn oci_archive(name: &str, layers: Vec<Rootfs>, config: &Value) -> Vec<u8> {
    let layers: Vec<Vec<u8>> = layers.into_iter().map(Rootfs::into_archive).collect();
    oci_archive_of(name, &layers, config)
}

/// The same, of layers that are archives already.
#[must_use]
pub fn oci_archive_of(name: &str, layers: &[Vec<u8>], config: &Value) -> Vec<u8> {
    let config = image_config(layers, config);
    let tar = "application/vnd.oci.image.layer.v1.tar";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": layers.iter().map(|layer| descriptor(tar, layer)).collect::<Vec<_>>(),
    });
    let manifest = manifest.to_string().into_bytes();
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    let mut archive = Rootfs::new()
        .file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)
        .file("index.json", 0o644, index.to_string().as_bytes());
    for blob in layers.iter().chain([&config, &manifest]) {
        archive = archive.file(&format!("blobs/sha256/{}", digest(blob)), 0o644, blob);
    }
    archive.into_archive()
}

pub(crate) fn image_config(layers: &[Vec<u8>], config: &Value) -> Vec<u8> {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let layers: Vec<_> = layers.iter().map(|it| format!("sha256:{}", digest(it))).collect();
    json!({
        "architecture": architecture,
        "os": "linux",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": layers },
    })
    .to_string()
    .into_bytes()
}

fn descriptor(kind: &str, blob: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": format!("sha256:{}", digest(blob)), "size": blob.len() })
}

/// Bytes' SHA-256, in hexadecimal digits.
#[must_use]
pub fn digest(blob: &[u8]) -> String {
    Sha256::digest(blob).iter().map(|byte| format!("{byte:02x}")).collect()
}
