//! `sandbar rmi`.

use std::cell::RefCell;

use sandbar_image::{ErrorKind, ImageId, Removal};

use super::each::each;
use super::in_use::InUse;
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::output;

/// Remove images
#[derive(Debug, clap::Args)]
pub(crate) struct Rmi {
    /// All names; one that is in use keeps its contents
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
            // Looked at while the images are locked. Where that can't be known nothing is deleted.
            let users = RefCell::new(Vec::new());
            let in_use = |id: &ImageId| {
                let containers = InUse::of(&engine);
                let by = containers.as_ref().map(|containers| containers.by(id));
                users.replace(by.unwrap_or_default());
                containers.is_err() || !users.borrow().is_empty()
            };
            let removed = match store.remove(name, removal, in_use) {
                Err(error) if self.force && error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) if error.kind() == ErrorKind::InUse && !users.borrow().is_empty() => {
                    let users = users.take().join(", ");
                    let action = format!("remove {name}");
                    return Err(Failure::of(action, error).adding(&format!(" by {users}")));
                }
                removed => removed.doing(format_args!("remove {name}"))?,
            };
            for reference in removed.untagged {
                output::line(format_args!("Untagged: {reference}"))?;
            }
            removed.deleted.map_or(Ok(()), |id| output::line(format_args!("Deleted: {id}")))
        })
    }
}
