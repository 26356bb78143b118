//! `sandbar system prune`.

use jiff::Timestamp;
use rustix::stdio::stdin;
use rustix::termios::isatty;
use sandbar_engine::{Container, Engine, Pruned};

use crate::cli::Exit;
use crate::commands::each::each;
use crate::commands::image;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::values::Until;
use crate::{output, terminal};

/// Remove stopped containers, unused networks and nameless images
// Pods that were asked for stay, with all that is in them: they are started again as a whole.
#[derive(Debug, clap::Args)]
pub(crate) struct Prune {
    /// Also unused images with names, and build caches
    #[arg(short, long)]
    all: bool,
    /// Don't ask
    #[arg(short, long)]
    force: bool,
    /// What was made, or a cache last used, before: until=24h
    #[arg(long, value_name = "FILTER")]
    filter: Option<Until>,
}

impl Prune {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        self.confirm()?;
        let engine = context.engine()?;
        let until = self.filter.map(|until| until.before(Timestamp::now()));
        let containers = engine.containers().doing("list the containers")?;
        let stopped: Vec<_> = containers
            .into_iter()
            .filter(|it| !it.is_active() && it.pod.implicit)
            .filter(|it| until.is_none_or(|until| it.config.created_at < until))
            .map(Stopped)
            .collect();
        let mut failed = each(&stopped, |it| remove(&engine, &it.0)).err();
        // One that was made lately may be waited for by whoever made it.
        if until.is_none() {
            let networks = engine.prune_networks().doing("remove unused networks")?;
            for Pruned { network, outcome } in networks {
                match outcome.doing(format_args!("remove the network {}", network.name)) {
                    Ok(()) => output::line(format_args!("Removed network: {}", network.name))?,
                    Err(failure) => {
                        output::failure(&failure);
                        failed.get_or_insert_with(|| failure.said());
                    }
                }
            }
        }
        image::prune(&engine, self.all, self.all, until)?;
        failed.map_or(Ok(Exit::SUCCESS), Err)
    }

    /// What containers wrote can't be had back: that is asked before, unless it need not be.
    fn confirm(&self) -> Result<()> {
        if self.force {
            return Ok(());
        }
        if !isatty(stdin()) {
            let message = "cannot remove what is unused: there is no terminal to ask";
            return Err(Failure::new(message).hint("-f removes it unasked"));
        }
        let images = match self.all {
            true => "unused networks, unused images and build caches",
            false => "unused networks and nameless images",
        };
        let answer = terminal::ask(&format!(
            "Remove stopped containers with all that they wrote, {images}? [y/N] "
        ))?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Failure::new("nothing was removed")),
        }
    }
}

/// A container that does not run, by its name.
struct Stopped(Container);

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.config.name.fmt(f)
    }
}

/// Removes it unless it runs by now.
fn remove(engine: &Engine, container: &Container) -> Result<()> {
    let name = &container.config.name;
    engine.remove_container(container, false).doing(format_args!("remove {name}"))?;
    output::line(format_args!("Removed container: {name}"))
}
