//! The caller's terminal: its size, raw mode for as long as a container's terminal is shown in it, and questions.

use std::os::fd::AsFd;

use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use crate::failure::{Doing, Failure, Result};
use crate::output;

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

/// Asks for a line that may be seen.
pub(crate) fn ask(question: &str) -> Result<String> {
    output::show(question);
    let mut line = Vec::new();
    loop {
        match read_byte()? {
            None | Some(b'\n') => break,
            Some(byte) => line.push(byte),
        }
    }
    text(line)
}

/// Asks for a line of which nothing is shown. Keys are read one by one, so that whatever ends this, an interruption
/// too, finds the terminal as it was.
pub(crate) fn ask_secret(question: &str) -> Result<String> {
    output::show(question);
    let raw = RawMode::enter()?;
    let mut line = Vec::new();
    let outcome = loop {
        match read_byte()? {
            None | Some(b'\r' | b'\n') => break Ok(()),
            Some(CONTROL_D) if line.is_empty() => break Ok(()),
            Some(CONTROL_C) => break Err(Failure::new("interrupted").exit(130)),
            Some(CONTROL_U) => line.clear(),
            Some(BACKSPACE | DELETE) => {
                // A character of several bytes goes whole.
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            Some(byte) => line.push(byte),
        }
    };
    drop(raw);
    output::show("\n");
    outcome.and_then(|()| text(line))
}

const CONTROL_C: u8 = 3;
const CONTROL_D: u8 = 4;
const BACKSPACE: u8 = 8;
const CONTROL_U: u8 = 21;
const DELETE: u8 = 127;

/// One byte, so that nothing is taken that comes after the line.
fn read_byte() -> Result<Option<u8>> {
    let mut byte = [0];
    let read = rustix::io::retry_on_intr(|| rustix::io::read(stdin(), &mut byte));
    Ok((read.doing("read from the terminal")? == 1).then_some(byte[0]))
}

fn text(line: Vec<u8>) -> Result<String> {
    match String::from_utf8(line) {
        Ok(text) if !text.is_empty() => Ok(text),
        Ok(_) => Err(Failure::new("nothing was typed")),
        Err(_) => Err(Failure::new("what was typed is not UTF-8")),
    }
}
