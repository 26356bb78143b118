//! `sandbar run`.

use sandbar_engine::{Container, ContainerOptions, Engine, Kind, Source};
use sandbar_image::ErrorKind;
use sandbar_spec::ContainerState;

use super::attached::{start_attached, tell};
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::options::{ContainerArguments, Pulling, Surroundings};
use crate::output;
use crate::terminal;

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
    #[command(flatten, next_help_heading = "Pulling the image")]
    pulling: Pulling,
}

impl Run {
    pub(crate) fn execute(self, context: &Context) -> Result<Exit> {
        let interactive = self.container.is_interactive();
        let mut options = self.container.resolve(&Surroundings::REAL)?;
        // A program may ask for the size before anybody could set it.
        let size = terminal::size().filter(|_| options.terminal);
        options.size = size.map(|size| (size.ws_row, size.ws_col));
        let action = format!("run {}", name_of(&options.source));
        let engine = context.engine()?;
        let container = create(&engine, options, &self.pulling, &action)?;
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

/// Makes a container; its image is pulled before anything is made, if it is not here or that was asked for.
pub(super) fn create(
    engine: &Engine,
    mut options: ContainerOptions,
    pulling: &Pulling,
    action: &str,
) -> Result<Container> {
    pulling.check(&options.source)?;
    pulling.before(engine, &mut options.source, action)?;
    let error = match engine.create_container(&options) {
        Ok(container) => return Ok(container),
        Err(error) => error,
    };
    // A pod or a container to be joined may be what was not found.
    match &options.source {
        Source::Image(name) if error.kind() == Kind::NotFound && is_missing(engine, name) => {
            options.source = Source::Image(pulling.missing(engine, name, action)?);
            engine.create_container(&options).doing(action)
        }
        _ => Err(Failure::of(action, error)),
    }
}

fn is_missing(engine: &Engine, image: &str) -> bool {
    let not_found = |error: sandbar_image::Error| error.kind() == ErrorKind::NotFound;
    engine.images().is_ok_and(|store| store.find(image).is_err_and(not_found))
}

/// A container that never began is removed: a name to be used again, and nothing to clean up. (One that is to
/// be kept for another try is made by `create`.)
fn undo(engine: &Engine, container: &Container, failure: Failure) -> Failure {
    if let Ok(now) = engine.container(container.config.id.as_str())
        && (now.status.state == ContainerState::Created
            || (now.config.auto_remove && !now.is_active()))
    {
        let _told_already = engine.remove_container(&now, true);
    }
    failure
}
