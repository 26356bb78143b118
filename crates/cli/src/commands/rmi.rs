//! `sandbar rmi`.

use sandbar_engine::{Container, Engine};
use sandbar_image::{ErrorKind, ImageId, Removal};

use super::each::each;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::output;

/// Remove images
#[derive(Debug, clap::Args)]
pub(crate) struct Rmi {
    /// All names of an image; one that is gone is as it should be
    #[arg(short, long)]
    force: bool,
    /// The images
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

impl Rmi {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        let store = engine.images().doing("open the images")?;
        let removal = if self.force { Removal::AllNames } else { Removal::OneName };
        each(&self.names, |name| {
            let removed = match store.remove(name, removal, |id| in_use(&engine, id)) {
                Err(error) if self.force && error.kind() == ErrorKind::NotFound => return Ok(()),
                removed => removed.doing(format_args!("remove {name}"))?,
            };
            for reference in removed.untagged {
                output::line(format_args!("Untagged: {reference}"))?;
            }
            removed.deleted.map_or(Ok(()), |id| output::line(format_args!("Deleted: {id}")))
        })
    }
}

/// Whether a container was made from the image. Where that can't be known nothing is deleted.
fn in_use(engine: &Engine, id: &ImageId) -> bool {
    engine.containers().map_or(true, |all| all.iter().any(|container| uses(container, id)))
}

fn uses(container: &Container, id: &ImageId) -> bool {
    let used = container.config.image_id.as_deref();
    used.is_some_and(|used| used.strip_prefix("sha256:").unwrap_or(used) == id.digest().hex())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::sample;

    #[test]
    fn an_image_is_in_use_by_what_was_made_from_it() {
        let container = sample::container();
        let id = |pair: &str| format!("sha256:{}", pair.repeat(32)).parse().unwrap();
        assert!(uses(&container, &id("cd")));
        assert!(!uses(&container, &id("ef")));
    }
}
