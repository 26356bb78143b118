//! The image: an [OCI image layout](https://github.com/opencontainers/image-spec/blob/main/image-layout.md) with an
//! image for each platform. What it says of time is `SOURCE_DATE_EPOCH`, or else 1970.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::architecture::Architecture;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What an engine calls the image once it has it.
const NAME: &str = concat!("localhost/pause:", env!("CARGO_PKG_VERSION"));

/// An image layout in memory: each file by its path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    files: BTreeMap<String, Vec<u8>>,
    index: String,
}

impl Layout {
    /// An image of these programs.
    pub(crate) fn of(programs: &[(Architecture, Vec<u8>)]) -> Result<Self> {
        let mut layout = Self { files: BTreeMap::new(), index: String::new() };
        let created = created()?;
        let mut manifests = Vec::new();
        for (architecture, program) in programs {
            manifests.push(layout.image(architecture, program, &created)?);
        }
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
        // An index of one: engines take a layout with several images for so many that one has to choose from.
        let mut only = layout.blob(INDEX, &encode(&index)?);
        layout.index = only["digest"].as_str().unwrap_or_default().to_owned();
        only["annotations"] = json!({ "org.opencontainers.image.ref.name": NAME });
        let top = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [only] });
        layout.files.insert("index.json".to_owned(), encode(&top)?);
        let version = json!({ "imageLayoutVersion": "1.0.0" });
        layout.files.insert("oci-layout".to_owned(), encode(&version)?);
        Ok(layout)
    }

    /// The digest of the index of all platforms.
    pub(crate) fn index(&self) -> &str {
        &self.index
    }

    /// Writes it into a directory, in place of what was there under the same names.
    pub(crate) fn write(&self, directory: &Path) -> Result<()> {
        let blobs = directory.join("blobs");
        if blobs.is_dir() && directory.join("oci-layout").is_file() {
            // Those of an image that was made before, some of which this one no longer has.
            fs::remove_dir_all(&blobs)
                .with_context(|| format!("can't empty {}", blobs.display()))?;
        }
        fs::create_dir_all(blobs.join("sha256"))
            .with_context(|| format!("can't create {}", blobs.display()))?;
        for (name, bytes) in &self.files {
            let file = directory.join(name);
            fs::write(&file, bytes).with_context(|| format!("can't write {}", file.display()))?;
        }
        Ok(())
    }

    /// Adds an image for a platform, and describes it.
    fn image(&mut self, of: &Architecture, program: &[u8], created: &str) -> Result<Value> {
        let archive = archive(program)?;
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
        gzip.write_all(&archive)?;
        let layer = self.blob(LAYER, &gzip.finish()?);
        let platform = match of.variant {
            Some(variant) => json!({ "architecture": of.name, "os": "linux", "variant": variant }),
            None => json!({ "architecture": of.name, "os": "linux" }),
        };
        let mut configuration = platform.clone();
        configuration["created"] = created.into();
        configuration["config"] = json!({ "Entrypoint": ["/pause"], "User": "65535:65535" });
        configuration["rootfs"] = json!({ "type": "layers", "diff_ids": [digest(&archive)] });
        configuration["history"] =
            json!([{ "created": created, "created_by": "cargo xtask pause-image" }]);
        let configuration = self.blob(CONFIGURATION, &encode(&configuration)?);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": configuration, "layers": [layer],
        });
        let mut manifest = self.blob(MANIFEST, &encode(&manifest)?);
        manifest["platform"] = platform;
        Ok(manifest)
    }

    /// Adds a blob, and describes it.
    fn blob(&mut self, kind: &str, bytes: &[u8]) -> Value {
        let digest = digest(bytes);
        self.files.insert(format!("blobs/{}", digest.replace(':', "/")), bytes.to_vec());
        json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
    }
}

/// A layer with the program alone, which is root's.
fn archive(program: &[u8]) -> Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "pause", program)?;
    Ok(archive.into_inner()?)
}

/// When the image says that it was made (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn created() -> Result<String> {
    let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text.parse().with_context(|| format!("SOURCE_DATE_EPOCH is '{text}'"))?,
        Err(_) => 0,
    };
    Ok(Timestamp::from_second(seconds).context("SOURCE_DATE_EPOCH is no time")?.to_string())
}

/// JSON whose keys are in the order of the alphabet.
fn encode(value: &Value) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(value)?)
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hash.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::super::architecture::ALL;
    use super::*;

    #[test]
    fn every_blob_is_named_by_its_digest_and_every_platform_is_in_the_index() {
        let programs: Vec<_> = ALL.iter().map(|it| (*it, it.name.as_bytes().to_vec())).collect();
        let layout = Layout::of(&programs).unwrap();
        for (name, bytes) in &layout.files {
            if let Some(hash) = name.strip_prefix("blobs/sha256/") {
                assert_eq!(digest(bytes), format!("sha256:{hash}"));
            }
        }
        let blob = |digest: &str| -> Value {
            let name = format!("blobs/{}", digest.replace(':', "/"));
            serde_json::from_slice(&layout.files[&name]).unwrap()
        };
        let index = blob(layout.index());
        let arm = &index["manifests"][2];
        let platform = json!({ "architecture": "arm", "os": "linux", "variant": "v7" });
        assert_eq!(arm["platform"], platform);
        assert_eq!(index["manifests"].as_array().unwrap().len(), ALL.len());
        let manifest = blob(arm["digest"].as_str().unwrap());
        let configuration = blob(manifest["config"]["digest"].as_str().unwrap());
        assert_eq!(configuration["config"]["User"], "65535:65535");
        assert_eq!(configuration["variant"], "v7");
    }
}
