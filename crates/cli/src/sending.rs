//! How far a push is, in lines on standard error, for whoever looks at a terminal there.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rustix::stdio::stderr;
use rustix::termios::isatty;
use sandbar_image::{Digest, PushProgress};

use crate::human;
use crate::output;

/// Layers of fewer bytes are sent before anybody asks how far they are.
const LARGE: u64 = 64 << 20;
/// How many lines a large layer gets.
const STEPS: u64 = 4;

/// What was told so far.
#[derive(Debug)]
pub(crate) struct Sending {
    terminal: bool,
    /// How many steps of a large layer were told.
    steps: Mutex<BTreeMap<Digest, u64>>,
}

impl Sending {
    /// Nothing was told; and nothing will be if there is no terminal.
    pub(crate) fn new() -> Self {
        Self { terminal: isatty(stderr()), steps: Mutex::default() }
    }

    /// Tells what has happened.
    pub(crate) fn tell(&self, progress: PushProgress) {
        if self.terminal
            && let Some(line) = self.line(progress)
        {
            output::status(&line);
        }
    }

    fn line(&self, progress: PushProgress) -> Option<String> {
        Some(match progress {
            PushProgress::Present { layer } => format!("{}: already there", short(layer)),
            PushProgress::Packing { layer, size } => {
                format!("{}: compressing {}", short(layer), human::size(size))
            }
            PushProgress::Sent { layer, bytes: sent, size } if size >= LARGE => {
                let step = sent.saturating_mul(STEPS) / size;
                let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
                if steps.insert(layer, step) == Some(step) || step == STEPS {
                    return None;
                }
                format!("{}: {} of {}", short(layer), human::size(sent), human::size(size))
            }
            PushProgress::Done { layer } => format!("{}: sent", short(layer)),
            _ => return None,
        })
    }
}

fn short(layer: Digest) -> String {
    layer.hex().chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_layer_has_a_line_a_step_and_a_small_one_none() {
        let sending = Sending { terminal: true, steps: Mutex::default() };
        let layer = Digest::of(b"");
        let told = |bytes, size| sending.line(PushProgress::Sent { layer, bytes, size }).is_some();
        assert!(!told(1, 100));
        assert!(told(1, LARGE) && !told(2, LARGE) && told(LARGE / 2, LARGE));
        assert!(!told(LARGE, LARGE), "its end has a line of its own");
        let line = sending.line(PushProgress::Present { layer });
        assert_eq!(line.as_deref(), Some("e3b0c44298fc: already there"));
    }
}
