//! What a build needs of the command line: images from registries, and somebody who is told how it goes on.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::fs::File;

use jiff::Timestamp;
use sandbar_build::{Cause, Event, Host};
use sandbar_engine::{Engine, StreamName};
use sandbar_image::{ImageId, Platform};

use crate::failure::{Doing, Failure, Result as Done};
use crate::options::RegistryAccess;
use crate::output::{self, Sink};
use crate::progress::Screen;
use crate::remote;

/// Who builds.
pub(crate) struct BuildHost<'a> {
    engine: &'a Engine,
    registry: &'a RegistryAccess,
    /// What would have been shown, to be shown if something fails.
    held: Option<RefCell<Vec<u8>>>,
    /// Whether what was printed last did not end its line.
    within_line: Cell<bool>,
}

impl<'a> BuildHost<'a> {
    /// Tells on standard error; if `quiet`, nothing but what was printed by what failed.
    pub(crate) fn new(engine: &'a Engine, registry: &'a RegistryAccess, quiet: bool) -> Self {
        Self { engine, registry, held: quiet.then(RefCell::default), within_line: Cell::new(false) }
    }

    fn fetch(&self, name: &str, platform: &Platform) -> Done<ImageId> {
        let action = format!("pull {name}");
        let client = self.registry.client(&action)?;
        let store = self.engine.images().doing(&action)?;
        let screen = Screen::on_terminal(self.held.is_some());
        let tell = |progress| screen.tell(progress);
        Ok(remote::pull(&client, &store, name, Some(platform), &tell)?.id)
    }

    /// What is said begins on a line of its own.
    fn end_line(&self) -> Result<(), Told> {
        match self.within_line.take() {
            true => print(b"\n").map_err(Told),
            false => Ok(()),
        }
    }

    /// Why the build failed, with the hint of what made it fail.
    pub(crate) fn failure(&self, action: &str, error: sandbar_build::Error) -> Failure {
        if let Some(held) = &self.held {
            // Should it not be written, what failed is still said.
            let _unheard = print(&held.borrow());
        }
        let _unheard = self.end_line();
        let cause = error.source().and_then(|source| source.downcast_ref::<Told>());
        let hint = cause.and_then(|told| told.0.own_hint().map(str::to_owned));
        let failure = Failure::of(action, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl Host for BuildHost<'_> {
    fn pull(&self, name: &str, platform: &Platform) -> Result<ImageId, Cause> {
        if self.held.is_none() {
            output::progress(&format!("pulling {name}"));
        }
        self.fetch(name, platform).map_err(|failure| Told(failure).into())
    }

    fn fetch(&self, url: &str, file: &mut File) -> Result<Option<Timestamp>, Cause> {
        let mut fetch = || -> Done<_> {
            let action = format!("fetch {url}");
            let client = self.registry.client(&action)?;
            let mut fetched = client.fetch(url).doing(&action)?;
            std::io::copy(&mut fetched.reader, file).doing(&action)?;
            Ok(fetched.modified)
        };
        let modified = fetch().map_err(Told)?;
        // A time that is none is as if it were not said.
        let time = modified.and_then(|text| jiff::fmt::rfc2822::parse(&text).ok());
        Ok(time.map(|time| time.timestamp()))
    }

    fn tell(&self, event: Event<'_>) -> Result<(), Cause> {
        match (event, &self.held) {
            (Event::Output(_, bytes), Some(held)) => held.borrow_mut().extend_from_slice(bytes),
            // Of a step that is over nothing is needed.
            (Event::Step { .. }, Some(held)) => held.borrow_mut().clear(),
            (Event::Note(_), Some(_)) => {}
            (Event::Output(_, bytes), None) => {
                self.within_line.set(bytes.last().is_some_and(|last| *last != b'\n'));
                print(bytes).map_err(Told)?;
            }
            (Event::Note(text), None) => output::note(text),
            (Event::Step { stage, number, total, text, cached }, None) => {
                let stage = if stage.is_empty() { String::new() } else { format!("{stage} ") };
                let cached = if cached { " (cached)" } else { "" };
                self.end_line()?;
                output::progress(&format!("[{stage}{number}/{total}] {text}{cached}"));
            }
        }
        Ok(())
    }
}

/// What a command printed, wherever it did, is not what this one prints.
fn print(bytes: &[u8]) -> Done<()> {
    let mut sink = Sink::new();
    sink.write(StreamName::Stderr, bytes)?;
    sink.flush()
}

/// A failure on its way through the build.
#[derive(Debug)]
struct Told(Failure);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message())
    }
}

impl Error for Told {}
