//! `sandbar image prune`.

use std::cell::OnceCell;

use jiff::Timestamp;
use sandbar_engine::Engine;
use sandbar_image::ImageId;

use crate::cli::Exit;
use crate::commands::in_use::InUse;
use crate::context::Context;
use crate::failure::{Doing, Result};
use crate::values::Until;
use crate::{human, output};

/// Remove images that have no name, and what pulls left behind
#[derive(Debug, clap::Args)]
pub(crate) struct Prune {
    /// Also those with names that no container uses
    #[arg(short, long)]
    all: bool,
    /// Don't ask; nothing is asked without it, either
    #[arg(short, long)]
    force: bool,
    /// Also caches of RUN --mount=type=cache
    #[arg(long)]
    build_cache: bool,
    /// Only those built, or used, before: until=24h
    #[arg(long, value_name = "FILTER")]
    filter: Option<Until>,
}

impl Prune {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let until = self.filter.map(|until| until.before(Timestamp::now()));
        prune(&context.engine()?, self.all, self.build_cache, until)?;
        Ok(Exit::SUCCESS)
    }
}

/// Removes what [`Store::prune`](sandbar_image::Store::prune) does, with `caches` what builds keep too, and prints it.
pub(crate) fn prune(
    engine: &Engine,
    all: bool,
    caches: bool,
    until: Option<Timestamp>,
) -> Result<()> {
    let store = engine.images().doing("open the images")?;
    // The built-in image comes back whenever it is removed.
    let built_in = store.find("localhost/pause").map(|image| image.id).ok();
    // Looked at while the images are locked, when nobody can make a container of one. Where that can't be known
    // nothing is removed.
    let looked_at = OnceCell::new();
    let needed = |id: &ImageId| {
        let in_use = looked_at.get_or_init(|| InUse::of(engine));
        in_use.as_ref().map_or(true, |in_use| in_use.has(id)) || built_in == Some(*id)
    };
    let pruned = store.prune(all, until, needed).doing("remove unused images")?;
    looked_at.into_inner().transpose()?;
    for reference in pruned.untagged {
        output::line(format_args!("Untagged: {reference}"))?;
    }
    for id in pruned.deleted {
        output::line(format_args!("Deleted: {id}"))?;
    }
    let mut freed = pruned.freed;
    if caches {
        let pruned = sandbar_build::prune_kept(engine, until).doing("remove build caches")?;
        for name in pruned.caches {
            let short: String = name.chars().take(12).collect();
            output::line(format_args!("Removed build cache: {short}"))?;
        }
        freed = freed.saturating_add(pruned.freed);
    }
    output::line(format_args!("Total reclaimed space: {}", human::size(freed)))
}
