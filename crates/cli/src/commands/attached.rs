//! Starting a container and staying with it to its end: `run` and `start --attach`.

use std::os::fd::AsFd;

use rustix::stdio::{stdin, stdout};
use rustix::termios::isatty;
use sandbar_engine::{Container, Engine, Log, Started};
use sandbar_spec::ContainerState;

use crate::attach::{Attachment, signals};
use crate::cli::Exit;
use crate::failure::{Doing, Result};
use crate::flow::{AtEnd, Flow};
use crate::output;
use crate::stdio;
use crate::terminal::RawMode;

/// Starts `container` and shows what it prints until it has ended; `action` is what is being done, as in
/// "cannot …". The exit code is its own.
pub(crate) fn start_attached(
    engine: &Engine,
    container: &Container,
    interactive: bool,
    action: &str,
) -> Result<Exit> {
    let mut flows = Vec::new();
    let input = match interactive && !container.config.terminal {
        true => Some(stdio::input(&mut flows)?),
        false => None,
    };
    let log = log_from_now(container)?;
    let signals = signals(container.config.terminal)?;
    let (started, ending) =
        engine.start_and_watch(container, input.as_ref().map(AsFd::as_fd), &log).doing(action)?;
    // The container has its own by now; with ours closed it can see the end of what is passed on.
    drop(input);
    tell(&started);
    let raw = match &started.terminal {
        Some(terminal) => {
            let terminal = terminal.try_clone().doing("use the container's terminal")?;
            if interactive {
                let at_end = if isatty(stdin()) { AtEnd::Close } else { AtEnd::ControlD };
                flows.push(Flow::input(stdio::own(stdin())?, terminal, at_end)?);
            }
            if interactive && isatty(stdout()) { RawMode::enter()? } else { None }
        }
        None => None,
    };
    let over = Attachment {
        ended: ending.as_fd(),
        log: Some(log),
        flows,
        terminal: started.terminal.as_ref().map(AsFd::as_fd),
        signals,
        forward: &|signal| {
            // It may have ended meanwhile: that is seen at once.
            let _ended = engine.kill_container(container, signal);
        },
    }
    .run();
    drop(raw);
    over?.exit(|| ending.wait().doing("learn how the container ended"))
}

/// Says which fallbacks a start has taken.
pub(crate) fn tell(started: &Started) {
    started.told.iter().for_each(|told| output::note(told));
}

/// The log from where it ends now: what the container printed in earlier lives was shown then.
fn log_from_now(container: &Container) -> Result<Log> {
    let mut log = container.log().doing("open the container's log")?;
    while container.status.state != ContainerState::Created
        && log.next_chunk().doing("read the container's log")?.is_some()
    {}
    Ok(log)
}
