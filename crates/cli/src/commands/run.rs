//! `sandbar run`.

use sandbar_engine::{Container, ContainerOptions, Engine, Kind, Source};
use sandbar_image::ErrorKind;
use sandbar_spec::ContainerState;

use super::attached::{start_attached, tell};
use crate::cli::Exit;
use crate::context::Context;
use crate::failure::{Doing, Failure, Result};
use crate::options::{ContainerArguments, Surroundings};
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

/// Makes a container. If it is the image that is not there, that is said, and where images come from.
pub(super) fn create(
    engine: &Engine,
    options: &ContainerOptions,
    action: &str,
) -> Result<Container> {
    let error = match engine.create_container(options) {
        Ok(container) => return Ok(container),
        Err(error) => error,
    };
    // A pod or a container to be joined may be what was not found.
    let missing = match &options.source {
        Source::Image(name) if error.kind() == Kind::NotFound => engine
            .images()
            .is_ok_and(|store| {
                store.find(name).is_err_and(|error| error.kind() == ErrorKind::NotFound)
            })
            .then_some(name),
        _ => None,
    };
    Err(match missing {
        Some(name) => Failure::new(format!("cannot {action}: there is no image '{name}'"))
            .hint("'sandbar load' and 'sandbar import' bring images in; see 'sandbar images'"),
        None => Failure::of(action, error),
    })
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
