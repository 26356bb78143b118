//! A stage on its way: its layers, its configuration, what is known in it.

use jiff::Timestamp;
use sandbar_image::{ImageId, Platform};

use crate::config::ImageConfig;
use crate::layers::Layers;
use crate::scope::Scope;

/// A stage, as far as it was built.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) layers: Layers,
    pub(crate) config: ImageConfig,
    pub(crate) scope: Scope,
    /// The image that it still is, if nothing was done to it.
    pub(crate) untouched: Option<ImageId>,
    /// Which of the file's stages it is: only those before it can be copied from.
    pub(crate) index: usize,
    pub(crate) platform: Platform,
}

impl Built {
    /// Adds a line to the history of what is no longer its base.
    pub(crate) fn note(&mut self, text: &str, created: Timestamp, has_layer: bool) {
        self.config.add_history(text, created, has_layer);
        self.untouched = None;
    }
}
