//! How long registries are waited for, and how often they are asked again. All of it is monotonic time.

use std::time::Duration;

/// How long to wait, and how often to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For the next bytes to come or go; a transfer that makes progress may take any time.
    pub stall: Duration,
    /// How often a request is made at most, and how often in turn a blob is gone on with, without any progress.
    pub attempts: u32,
    /// Before the second attempt; twice as much before each later one.
    pub pause: Duration,
    /// The longest pause, and the longest `Retry-After` that is waited for.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            attempts: 4,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
        }
    }
}

impl Patience {
    /// The pause after the failure number `failures`, from one.
    pub(crate) fn after(&self, failures: u32) -> Duration {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        self.pause.saturating_mul(factor).min(self.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound() {
        let patience = Patience::default();
        let seconds: Vec<f32> = [1, 2, 3, 99].map(|n| patience.after(n).as_secs_f32()).into();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 60.0]);
    }
}
