//! Which images are needed by containers.

use std::collections::BTreeMap;

use sandbar_engine::Engine;
use sandbar_image::ImageId;

use crate::failure::{Doing, Result};

/// The images that containers were made from, and the containers' names.
#[derive(Debug)]
pub(crate) struct InUse(BTreeMap<String, Vec<String>>);

impl InUse {
    /// Looks at all containers, those that don't run included.
    pub(crate) fn of(engine: &Engine) -> Result<Self> {
        let containers = engine.containers().doing("list the containers")?;
        let used = containers.into_iter().filter_map(|it| {
            let id = it.config.image_id?;
            Some((id.strip_prefix("sha256:").unwrap_or(&id).to_owned(), it.config.name.to_string()))
        });
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        used.for_each(|(id, name)| names.entry(id).or_default().push(name));
        Ok(Self(names))
    }

    /// The containers that were made from an image.
    pub(crate) fn by(&self, id: &ImageId) -> &[String] {
        self.0.get(&id.digest().hex()).map_or(&[], Vec::as_slice)
    }

    /// Whether there is one.
    pub(crate) fn has(&self, id: &ImageId) -> bool {
        !self.by(id).is_empty()
    }
}
