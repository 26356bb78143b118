//! `sandbar system check`.

use sandbar_image::{Damage, ErrorKind, Part};

use crate::cli::Exit;
use crate::commands::in_use::InUse;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result, chain};
use crate::output;

/// Read all images, and name what is damaged
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// Remove what is damaged, to be pulled again
    #[arg(long)]
    repair: bool,
}

impl Check {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let engine = context.engine()?;
        let store = engine.images_as_they_are().doing("open the images")?;
        let (old, damaged): (Vec<_>, Vec<_>) = store
            .check()
            .doing("check the images")?
            .into_iter()
            .partition(|damage| damage.error.kind() == ErrorKind::Unsupported);
        for damage in &old {
            output::line(format_args!("can't be checked: {}", line(damage)))?;
        }
        for damage in &damaged {
            output::line(line(damage))?;
        }
        if damaged.is_empty() {
            output::line("all images are what they were when they came")?;
            return Ok(Exit::SUCCESS);
        }
        let count = damaged.len();
        if !self.repair {
            let hint = "'sandbar system check --repair' removes it; pull or load the images again";
            return Err(found(count, "").hint(hint));
        }
        let in_use = InUse::of(&engine)?;
        let gone = store.repair(&damaged, |id| in_use.has(id)).doing("remove what is damaged")?;
        for id in gone {
            output::line(format_args!("Deleted: {id}"))?;
        }
        let left = store.check().doing("check the images")?;
        let left = left.iter().filter(|damage| damage.error.kind() != ErrorKind::Unsupported);
        match left.count() {
            0 => Ok(Exit::SUCCESS),
            left => Err(found(left, " still")
                .hint("remove the containers that use it: 'sandbar ps -a', and repair again")),
        }
    }
}

fn found(count: usize, still: &str) -> Failure {
    let what = if count == 1 { "part of the images is" } else { "parts of the images are" };
    Failure::new(format!("{count} {what}{still} damaged"))
}

/// What is damaged, why, and who needs it.
fn line(damage: &Damage) -> String {
    let what = match damage.part {
        Part::Image(id) => format!("image {}", id.short()),
        Part::Blob(digest) => format!("blob {digest}"),
        Part::Layer(digest) => format!("layer {digest}"),
        Part::Name(digest) => format!("name {}", digest.hex()),
        _ => "a part".to_owned(),
    };
    let why = chain(&damage.error);
    let ids: Vec<_> = damage.images.iter().map(sandbar_image::ImageId::short).collect();
    match ids.as_slice() {
        [] => format!("{what}: {why}"),
        ids => format!("{what}: {why} (needed by {})", ids.join(", ")),
    }
}
