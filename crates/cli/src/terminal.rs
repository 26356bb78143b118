//! The caller's terminal: its size, and raw mode for as long as a container's terminal is shown in it.

use std::os::fd::AsFd;

use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use crate::failure::{Doing, Result};

/// Raw mode, in which every key is the container's. It ends, and all is as it was, when this is dropped.
#[derive(Debug)]
pub(crate) struct RawMode {
    before: Termios,
}

impl RawMode {
    /// Puts standard input into raw mode; `None` if that is no terminal.
    pub(crate) fn enter() -> Result<Option<Self>> {
        if !isatty(stdin()) {
            return Ok(None);
        }
        let before = tcgetattr(stdin()).doing("read the terminal's settings")?;
        let mut raw = before.clone();
        raw.make_raw();
        let entered = Self { before };
        tcsetattr(stdin(), OptionalActions::Now, &raw).doing("change the terminal's settings")?;
        Ok(Some(entered))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // If the terminal is gone there is nothing to be restored.
        let _gone = tcsetattr(stdin(), OptionalActions::Now, &self.before);
    }
}

/// The size of the caller's terminal, if there is one.
pub(crate) fn size() -> Option<Winsize> {
    let known = |size: &Winsize| size.ws_row > 0 && size.ws_col > 0;
    tcgetwinsize(stdout()).ok().filter(known).or_else(|| tcgetwinsize(stdin()).ok().filter(known))
}

/// Gives a container's terminal the size of the caller's.
pub(crate) fn resize(terminal: impl AsFd) {
    if let Some(size) = size() {
        // A terminal whose program has ended has no use for a size.
        let _ended = tcsetwinsize(terminal, size);
    }
}
