//! `sandbar oci run`.

use sandbar_runtime::Starting;

use super::create::{Created, create};
use super::options::Creation;
use super::process::{attend, follow};
use super::start::start;
use super::{Context, delete};
use crate::attach::signals;
use crate::cli::Exit;
use crate::failure::Result;

/// Create a container, start it, wait for its end and delete it
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    #[command(flatten)]
    creation: Creation,
    /// Do not wait for its end
    #[arg(short, long)]
    detach: bool,
    /// Do not delete it when it has ended
    #[arg(long)]
    keep: bool,
    /// The container's id
    id: String,
}

impl Run {
    pub(super) fn execute(self, context: &Context) -> Result<Exit> {
        let socket = self.creation.process.console_socket.is_some();
        let Created { directory, mut starting, program, mut terminal } =
            create(context, &self.creation, &self.id, self.detach)?;
        // Taken over before the program runs, so that none is lost.
        let signals = signals(terminal.is_some() && !socket)?;
        let remove = || delete::delete(context, &directory);
        let action = format!("start container {}", self.id);
        let started = start(&directory)
            .and_then(|()| follow(context, &action, &program, &mut starting, &mut terminal));
        if let Err(failure) = started {
            // Why it did not start is what the caller wants to know first.
            if let Err(failure) = remove() {
                context.log.warn(failure.lines().trim_end());
            }
            return Err(failure);
        }
        let shown = terminal.filter(|_| !socket);
        let Starting { pid, pidfd, .. } = starting;
        if self.detach {
            return Ok(Exit::SUCCESS);
        }
        let ended = attend(pid, &pidfd, shown.as_ref(), signals);
        if !self.keep {
            remove()?;
        }
        ended
    }
}
