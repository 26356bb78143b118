//! Which images are saved, and by which names.

use std::collections::BTreeSet;

use crate::compression::Compression;
use crate::digest::Digest;
use crate::error::Result;
use crate::export::{Dialect, Part, Source, manifest};
use crate::store::Store;

/// An image, and the names that it is saved with.
pub(super) struct Saved {
    pub(super) source: Source,
    /// In full, in the order in which they were given, none twice.
    pub(super) names: Vec<String>,
}

impl Store {
    /// Finds images by names or ids; one that is called by several is there once.
    pub(super) fn to_save(&self, names: &[&str]) -> Result<Vec<Saved>> {
        let mut all: Vec<Saved> = Vec::new();
        for name in names {
            let source = self.source(name)?;
            // By its digest alone nobody else could find it.
            let reference = source.reference.as_ref();
            let name = reference.and_then(|reference| {
                let tag = reference.tag()?;
                Some(format!("{}/{}:{tag}", reference.registry(), reference.repository()))
            });
            let at = all.iter().position(|one| one.source.id == source.id).unwrap_or_else(|| {
                all.push(Saved { source, names: Vec::new() });
                all.len() - 1
            });
            let one = &mut all[at];
            one.names.extend(name.filter(|name| !one.names.contains(name)));
        }
        Ok(all)
    }
}

impl Saved {
    /// Its manifest, with all layers uncompressed.
    pub(super) fn manifest(&self, store: &Store, dialect: Dialect) -> Result<Vec<u8>> {
        let Source { config, diff_ids, .. } = &self.source;
        let part = |digest: &Digest| {
            let size = store.layer_stream(digest)?.size();
            Ok(Part { digest: *digest, size, compression: Compression::Plain })
        };
        let layers = diff_ids.iter().map(part).collect::<Result<Vec<_>>>()?;
        manifest(dialect, config, &layers, &self.annotations(store)?)
    }

    /// What a manifest that it came with says besides.
    fn annotations(&self, store: &Store) -> Result<std::collections::BTreeMap<String, String>> {
        let known = store.known(Some(&self.source.id))?;
        Ok(known.into_iter().next().map(|known| known.annotations).unwrap_or_default())
    }
}

/// The layers of all images, each once, in the order in which they are needed.
pub(super) fn layers(images: &[Saved]) -> Vec<Digest> {
    let mut seen = BTreeSet::new();
    let all = images.iter().flat_map(|image| &image.source.diff_ids);
    all.filter(|diff_id| seen.insert(**diff_id)).copied().collect()
}
