//! Which images are saved, and by which names.

use std::collections::BTreeSet;

use crate::compression::Compression;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::export::{Dialect, Part, Source, manifest};
use crate::reference::Reference;
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
        let mut all = Vec::new();
        for name in names {
            let source = self.source(name).map_err(|error| match self.find_list(name) {
                Ok(_) => Error::new(
                    ErrorKind::Unsupported,
                    format!("{name} is a manifest list, which only an OCI image layout can have"),
                ),
                Err(_) => error,
            })?;
            add(&mut all, source);
        }
        Ok(all)
    }
}

/// Adds an image by the name that it was found by.
pub(super) fn add(all: &mut Vec<Saved>, source: Source) {
    let name = source.reference.as_ref().and_then(full_name);
    let at = all.iter().position(|one| one.source.id == source.id).unwrap_or_else(|| {
        all.push(Saved { source, names: Vec::new() });
        all.len() - 1
    });
    let one = &mut all[at];
    one.names.extend(name.filter(|name| !one.names.contains(name)));
}

/// A name as archives have it. By its digest alone nobody else could find what it names.
pub(super) fn full_name(reference: &Reference) -> Option<String> {
    let tag = reference.tag()?;
    Some(format!("{}/{}:{tag}", reference.registry(), reference.repository()))
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
pub(super) fn layers<'a>(images: impl IntoIterator<Item = &'a Saved>) -> Vec<Digest> {
    let mut seen = BTreeSet::new();
    let all = images.into_iter().flat_map(|image| &image.source.diff_ids);
    all.filter(|diff_id| seen.insert(**diff_id)).copied().collect()
}
