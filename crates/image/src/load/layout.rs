//! Where manifests and blobs are, in the two formats that lead to them by digest.

use serde_json::Value;

use super::members::Members;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::manifest::json;

/// How members are named after their digests.
pub(super) struct Layout<'a> {
    pub(super) members: &'a Members,
    format: Format,
}

enum Format {
    /// `blobs/sha256/<hex>` for all
    /// ([image layout](https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md)).
    Oci,
    /// `<hex>`, and `<hex>.manifest.json` for manifests below an index
    /// ([containers-transports(5)](https://github.com/containers/image/blob/main/docs/containers-transports.5.md)).
    Dir,
}

/// How Skopeo's and Podman's file `version` begins.
const DIR_VERSION: &[u8] = b"Directory Transport Version: 1.";

impl<'a> Layout<'a> {
    /// An OCI layout, of the one version there is.
    pub(super) fn oci(members: &'a Members) -> Result<Self> {
        let layout: Value = json("oci-layout", &members.document("oci-layout")?)?;
        if layout.get("imageLayoutVersion").and_then(Value::as_str) != Some("1.0.0") {
            return Err(Error::new(ErrorKind::Unsupported, "oci-layout is not of version 1.0.0"));
        }
        Ok(Self { members, format: Format::Oci })
    }

    /// What Skopeo and Podman call `dir`, if it is that.
    pub(super) fn dir(members: &'a Members) -> Result<Option<Self>> {
        if !members.has("version") || !members.has("manifest.json") {
            return Ok(None);
        }
        let is_dir = members.document("version")?.starts_with(DIR_VERSION);
        Ok(is_dir.then_some(Self { members, format: Format::Dir }))
    }

    pub(super) fn blob(&self, digest: &Digest) -> String {
        match self.format {
            Format::Oci => format!("blobs/sha256/{}", digest.hex()),
            Format::Dir => digest.hex(),
        }
    }

    pub(super) fn manifest(&self, digest: &Digest) -> String {
        match self.format {
            Format::Oci => self.blob(digest),
            Format::Dir => format!("{}.manifest.json", digest.hex()),
        }
    }
}
