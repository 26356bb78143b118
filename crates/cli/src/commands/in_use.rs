//! Which images are needed by containers and builds.

use std::collections::BTreeMap;

use sandbar_engine::{Engine, Roots};
use sandbar_image::ImageId;

use crate::failure::{Doing, Result};

/// The images that are needed.
#[derive(Debug)]
pub(crate) struct InUse {
    /// Those that containers were made from, and the containers' names.
    containers: BTreeMap<String, Vec<String>>,
    roots: Roots,
}

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
        Ok(Self { containers: names, roots: engine.roots().clone() })
    }

    /// What needs an image, in words: the names of containers that were made from it, and builds.
    pub(crate) fn by(&self, id: &ImageId) -> Vec<String> {
        let mut users = self.containers.get(&id.digest().hex()).cloned().unwrap_or_default();
        if sandbar_build::needs_image(&self.roots, id) {
            users.push("a build that goes on".to_owned());
        }
        users
    }

    /// Whether anything does.
    pub(crate) fn has(&self, id: &ImageId) -> bool {
        !self.by(id).is_empty()
    }
}
