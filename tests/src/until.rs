//! Waiting for something to become so.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Names a factor by which all waiting is longer, for a machine that is that much slower than most.
const FACTOR: &str = "SANDBAR_TESTS_PATIENCE";

/// How long what is about to happen may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(10);

/// The most that one look counts for: a virtual machine that was paused has not been waiting.
const ONE_LOOK: Duration = Duration::from_millis(500);

/// Time that is spent waiting, and its end.
#[derive(Debug)]
pub(crate) struct Patience {
    left: Duration,
    seen: Instant,
}

impl Patience {
    /// So much of it on a usual machine.
    pub(crate) fn of(time: Duration) -> Self {
        let factor = std::env::var(FACTOR).ok().and_then(|it| it.parse().ok());
        Self { left: time * factor.unwrap_or(1), seen: Instant::now() }
    }

    /// Sleeps for a while; false, at once, when there is none left.
    pub(crate) fn sleep(&mut self, time: Duration) -> bool {
        let spent = self.seen.elapsed().min(ONE_LOOK);
        self.seen = Instant::now();
        self.left = self.left.saturating_sub(spent);
        if self.left.is_zero() {
            return false;
        }
        sleep(time);
        true
    }
}

/// Looks again and again until there is something, and returns it.
///
/// # Panics
/// If there is nothing `within` the time: `what` says what was waited for.
#[track_caller]
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let mut patience = Patience::of(within);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(patience.sleep(Duration::from_millis(5)), "waited {within:?} in vain: {what}");
    }
}
