//! A pull as it is seen on a terminal: a line a layer, drawn again in place. Where there is no terminal, nothing.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::stdio::stderr;
use rustix::termios::{isatty, tcgetwinsize};
use sandbar_image::{Digest, Progress};

use crate::{human, output};

/// How often it is drawn: often enough to be seen moving.
const PACE: Duration = Duration::from_millis(100);
/// A terminal that does not say how large it is.
const USUAL: (usize, usize) = (24, 80);

/// What is seen.
#[derive(Debug)]
pub(crate) struct Screen(Option<Mutex<Drawing>>);

#[derive(Debug, Default)]
struct Drawing {
    layers: Vec<Layer>,
    /// Lines that are there, the cursor below them.
    lines: usize,
    drawn: Option<Instant>,
}

#[derive(Debug)]
struct Layer {
    digest: Digest,
    size: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Here,
    Waiting,
    Coming(u64),
    Done,
}

impl Screen {
    /// On standard error, if that is a terminal and somebody wants to see it.
    pub(crate) fn on_terminal(quiet: bool) -> Self {
        Self((!quiet && isatty(stderr())).then(Mutex::default))
    }

    /// Takes in what has happened.
    pub(crate) fn tell(&self, progress: Progress) {
        let Some(drawing) = &self.0 else { return };
        let mut drawing = lock(drawing);
        drawing.note(progress);
        let often = matches!(progress, Progress::Received { .. });
        if !often || drawing.drawn.is_none_or(|then| then.elapsed() >= PACE) {
            drawing.draw();
        }
    }
}

fn lock(drawing: &Mutex<Drawing>) -> MutexGuard<'_, Drawing> {
    drawing.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drawing {
    fn note(&mut self, progress: Progress) {
        match progress {
            Progress::Layer { digest, size, here } => {
                let state = if here { State::Here } else { State::Waiting };
                self.layers.retain(|layer| layer.digest != digest);
                self.layers.push(Layer { digest, size, state });
            }
            Progress::Received { digest, bytes } => self.set(&digest, State::Coming(bytes)),
            Progress::Done { digest } => self.set(&digest, State::Done),
            // What is told some day besides is not drawn.
            _ => {}
        }
    }

    fn set(&mut self, digest: &Digest, state: State) {
        if let Some(layer) = self.layers.iter_mut().find(|layer| layer.digest == *digest) {
            layer.state = state;
        }
    }

    fn draw(&mut self) {
        let size = tcgetwinsize(stderr()).ok().filter(|size| size.ws_row > 1 && size.ws_col > 0);
        let (rows, columns) = size.map_or(USUAL, |size| (size.ws_row.into(), size.ws_col.into()));
        let lines = self.lines(rows - 1, columns);
        let mut text = String::new();
        if self.lines > 0 {
            // To the first of the lines that are there.
            let _never_fails = write!(text, "\x1b[{}A", self.lines);
        }
        for line in &lines {
            let _never_fails = write!(text, "\r\x1b[K{line}\n");
        }
        // What is left of more lines than there are now.
        text.push_str("\x1b[J");
        output::show(&text);
        self.lines = lines.len();
        self.drawn = Some(Instant::now());
    }

    /// At most `rows` lines of `columns`: where there are more layers, those that come now and a count of all.
    fn lines(&self, rows: usize, columns: usize) -> Vec<String> {
        let mut lines: Vec<String> = if self.layers.len() <= rows {
            self.layers.iter().map(Layer::line).collect()
        } else {
            let coming = |layer: &&Layer| matches!(layer.state, State::Coming(_));
            let coming = self.layers.iter().filter(coming).take(rows - 1).map(Layer::line);
            let done =
                self.layers.iter().filter(|it| matches!(it.state, State::Here | State::Done));
            let count = format!("{} of {} layers are here", done.count(), self.layers.len());
            coming.chain([count]).collect()
        };
        for line in &mut lines {
            // A line that is wrapped would be two.
            if let Some((end, _)) = line.char_indices().nth(columns - 1) {
                line.truncate(end);
            }
        }
        lines
    }
}

impl Layer {
    fn line(&self) -> String {
        let hex = self.digest.hex();
        let name = hex.get(..12).unwrap_or(&hex);
        let what = match self.state {
            State::Here => "already here".to_owned(),
            State::Waiting => "waiting".to_owned(),
            State::Coming(bytes) if bytes >= self.size => "unpacking".to_owned(),
            State::Coming(bytes) => {
                format!("{} of {}", human::size(bytes), human::size(self.size))
            }
            State::Done => "done".to_owned(),
        };
        format!("{name}: {what}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> Digest {
        format!("sha256:{number:064x}").parse().unwrap()
    }

    fn drawing(layers: usize) -> Drawing {
        let mut drawing = Drawing::default();
        for number in 0..layers {
            let here = number == 0;
            drawing.note(Progress::Layer { digest: digest(number), size: 2000, here });
        }
        drawing
    }

    #[test]
    fn each_layer_has_a_line() {
        let mut drawing = drawing(4);
        drawing.note(Progress::Received { digest: digest(1), bytes: 1500 });
        drawing.note(Progress::Received { digest: digest(2), bytes: 2000 });
        drawing.note(Progress::Done { digest: digest(3) });
        let lines = drawing.lines(4, 80);
        let said: Vec<_> = lines.iter().filter_map(|line| line.split_once(": ")).collect();
        let said: Vec<_> = said.into_iter().map(|(_, what)| what).collect();
        assert_eq!(said, ["already here", "1.5kB of 2kB", "unpacking", "done"]);
        assert!(drawing.lines(4, 10).iter().all(|line| line.len() == 9));
    }

    #[test]
    fn of_more_layers_than_rows_those_that_come_are_seen() {
        let mut drawing = drawing(9);
        drawing.note(Progress::Received { digest: digest(5), bytes: 1 });
        let lines = drawing.lines(3, 80);
        assert_eq!(lines, ["000000000000: 1B of 2kB", "1 of 9 layers are here"]);
        for number in 1..9 {
            drawing.note(Progress::Received { digest: digest(number), bytes: 1 });
        }
        assert_eq!(drawing.lines(3, 80).len(), 3);
    }
}
