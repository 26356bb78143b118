//! Waiting with an end to it, on the monotonic clock.

use std::thread::sleep;
use std::time::{Duration, Instant};

const FIRST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// When to give up. Processes end and freeze within microseconds or not for long, so the pauses
/// between two looks begin short and double.
pub(crate) struct Deadline {
    /// `None`: never, for a duration past the clock's range.
    end: Option<Instant>,
    pause: Duration,
}

impl Deadline {
    pub(crate) fn after(within: Duration) -> Self {
        Self { end: Instant::now().checked_add(within), pause: FIRST_PAUSE }
    }

    pub(crate) fn remaining(&self) -> Duration {
        match self.end {
            Some(end) => end.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        }
    }

    /// Sleeps a little; false, at once, when the time is over.
    pub(crate) fn pause(&mut self) -> bool {
        let remaining = self.remaining();
        if remaining.is_zero() {
            return false;
        }
        sleep(self.pause.min(remaining));
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_and_an_endless_one_does_not() {
        let started = Instant::now();
        let mut deadline = Deadline::after(Duration::from_millis(3));
        while deadline.pause() {}
        assert!(started.elapsed() >= Duration::from_millis(3));
        assert!(!Deadline::after(Duration::ZERO).pause());
        assert!(Deadline::after(Duration::MAX).pause());
    }
}
