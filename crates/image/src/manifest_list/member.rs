//! What becomes a member of a list: an image of the store, or what a registry has under a name.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::AtomicBool;

use super::Member;
use crate::compression::Compression;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Dialect, manifest, pack};
use crate::platform::Platform;
use crate::pull::{Manifest, ManifestName, Planner, Remote};
use crate::push::side_by_side;
use crate::reference::Reference;
use crate::store::{Staging, Store};

impl Store {
    /// The image called `image` (by name or id) as a member of a list.
    ///
    /// It is known by the manifest that it came with or was pushed with. One that has none yet gets one, for which its
    /// layers are packed to see what they become: the same that a push makes of them.
    ///
    /// # Errors
    /// As [`Store::find`]; [`ErrorKind::Unsupported`] for layers without a recipe; [`ErrorKind::Corrupt`];
    /// [`ErrorKind::Io`].
    pub fn member(&self, image: &str) -> Result<Member> {
        let source = self.source(image)?;
        let named = source.reference.as_ref().and_then(Reference::digest);
        let mut known = self.known(Some(&source.id))?;
        known.sort_by_key(|known| Some(known.digest) != named);
        let (bytes, media_type) = match known.into_iter().next() {
            Some(known) => (known.bytes, known.media_type),
            None => {
                let stop = AtomicBool::new(false);
                let layers = side_by_side(&source.diff_ids, &stop, |diff_id| {
                    let stream = self.layer_stream(diff_id)?;
                    pack(stream, Compression::Gzip, io::sink(), &stop).map_err(|e| {
                        let message = format!("compressing layer {diff_id} failed");
                        Error::new(ErrorKind::Corrupt, message).because(e)
                    })
                })?;
                let bytes = manifest(Dialect::Oci, &source.config, &layers, &BTreeMap::new())?;
                self.keep_manifest(&Staging::new(self)?, &source.id, &bytes, None)?;
                (bytes, Dialect::Oci.manifest().to_owned())
            }
        };
        Ok(Member {
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
            media_type,
            platform: sound(&source.platform)?,
            image: Some(source.id),
            from: None,
        })
    }

    /// What a registry has as `name`, as members of a list. Nothing but manifests is asked for, and a configuration.
    ///
    /// Of an index it is the image for `platform`, or else for this machine; with `all`, each image of it.
    ///
    /// # Errors
    /// As [`Store::pull`].
    pub fn remote_members(
        &self,
        remote: &dyn Remote,
        name: &Reference,
        platform: Option<&Platform>,
        all: bool,
    ) -> Result<Vec<Member>> {
        let which = match (name.digest(), name.tag()) {
            (Some(digest), _) => ManifestName::Digest(digest),
            (None, tag) => ManifestName::Tag(tag.unwrap_or("latest").to_owned()),
        };
        let planner = Planner { store: self, remote, platform };
        let found = if all { planner.all(&which)? } else { vec![planner.one(&which)?] };
        let member = |found: Manifest| {
            Ok(Member {
                digest: found.digest,
                size: found.size,
                media_type: found.media_type,
                platform: sound(&found.platform)?,
                image: None,
                from: Some(name.clone()),
            })
        };
        found.into_iter().map(member).collect()
    }
}

/// A platform, if it is made of words: what is in a manifest may be anything.
pub(crate) fn sound(platform: &Platform) -> Result<Platform> {
    platform.to_string().parse()
}
