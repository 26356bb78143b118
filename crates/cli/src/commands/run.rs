use sandbar_engine::{Container, ContainerOptions, Engine, Kind, Source};

use super::attached::{start_attached, tell};
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::options::{ContainerArguments, Surroundings};
use crate::output;

/// Run a command in a new container
#[derive(Debug, clap::Args)]
#[command(override_usage = "sandbar run [OPTIONS] IMAGE [COMMAND]...\n       \
                            sandbar run [OPTIONS] --rootfs DIR [COMMAND]...")]
pub(crate) struct Run {
    /// Let it run on its own, and print its id
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    container: ContainerArguments,
}

impl Run {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let interactive = self.container.is_interactive();
        let options = self.container.resolve(&Surroundings::REAL)?;
        let action = format!("run {}", name_of(&options.source));
        let engine = context.engine()?;
        let container = create(&engine, &options, &action)?;
        if self.detach {
            match engine.start_container(&container, None).doing(&action) {
                Ok(started) => tell(&started),
                Err(failure) => return Err(undo(&engine, &container, failure)),
            }
            output::line(&container.config.id)?;
            return Ok(Exit::SUCCESS);
        }
        start_attached(&engine, &container, interactive, &action)
            .map_err(|failure| undo(&engine, &container, failure))
    }
}

/// What a container is made from, in words.
pub(super) fn name_of(source: &Source) -> String {
    match source {
        Source::Image(name) => name.clone(),
        Source::Rootfs(directory) => directory.display().to_string(),
    }
}

/// Makes a container. If it is the image that is not there, the hint says so.
pub(super) fn create(
    engine: &Engine,
    options: &ContainerOptions,
    action: &str,
) -> Result<Container> {
    let failure = match engine.create_container(options).doing(action) {
        Ok(container) => return Ok(container),
        Err(failure) => failure,
    };
    let is_image_missing = failure.kind() == Some(Kind::NotFound)
        && matches!(&options.source, Source::Image(name)
            if engine.images().is_ok_and(|store| store.find(name).is_err()));
    match is_image_missing {
        true => Err(image_missing(failure)),
        false => Err(failure),
    }
}

fn image_missing(failure: Failure) -> Failure {
    failure.hint("'sandbar load' and 'sandbar import' bring images in, 'sandbar images' lists them")
}

/// A container that was to be removed after it ended, and never began, is removed now.
fn undo(engine: &Engine, container: &Container, failure: Failure) -> Failure {
    if container.config.auto_remove
        && let Ok(now) = engine.container(container.config.id.as_str())
        && !now.is_active()
    {
        let _told_already = engine.remove_container(&now, true);
    }
    failure
}
