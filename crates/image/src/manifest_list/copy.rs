//! From one registry to another, past the store.

use std::io::{self, Read};

use oci_spec::image::{Descriptor, ImageManifest};

use super::Member;
use crate::digest::Digest;
use crate::error::Result;
use crate::manifest::{digest, json};
use crate::pull::{ManifestName, Remote, ask};
use crate::push::{OutgoingBlob, Push, refused, side_by_side};
use crate::reference::Reference;
use crate::store::check;

impl Push<'_> {
    /// Sees to it that the destination has a member's manifest, and all that it names.
    pub(super) fn copy(
        &self,
        member: &Member,
        from: &Reference,
        to: &Reference,
        remote: &dyn Remote,
    ) -> Result<()> {
        let name = ManifestName::Digest(member.digest);
        let (bytes, _) = ask(remote, &name)?;
        let what = format!("manifest {}", member.digest);
        check(&what, Some(member.digest), Digest::of(&bytes))?;
        let manifest: ImageManifest = json(&what, &bytes)?;
        let mut blobs: Vec<&Descriptor> = manifest.layers().iter().collect();
        blobs.push(manifest.config());
        let others = match from.registry() == to.registry() {
            true => vec![from.repository()],
            false => Vec::new(),
        };
        side_by_side(&blobs, &self.stop, |blob| self.copy_blob(blob, &others, remote))?;
        self.put_manifest(&name, &bytes, &member.media_type)
    }

    fn copy_blob(&self, blob: &Descriptor, others: &[&str], remote: &dyn Remote) -> Result<()> {
        let (digest, size) = (digest(blob)?, blob.size());
        let there = self.destination.has_blob(&digest, others).map_err(|cause| {
            refused(format!("the registry did not say whether it has blob {digest}"), cause)
        })?;
        if there {
            return Ok(());
        }
        let open = || {
            let blob = remote.blob(&digest, size, 0).map_err(io::Error::other)?;
            Ok(blob.reader as Box<dyn Read>)
        };
        let blob = OutgoingBlob { digest, size, open: &open };
        self.destination
            .put_blob(&blob)
            .map_err(|cause| refused(format!("the registry did not take blob {digest}"), cause))
    }
}
