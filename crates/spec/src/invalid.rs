//! What is wrong with a value that somebody gave.

/// A value that was refused: what it was meant to be, what was given, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} '{given}': {reason}")]
pub struct Invalid {
    what: &'static str,
    given: String,
    reason: String,
}

impl Invalid {
    /// `given`, meant as `what`, is wrong for `reason`. Control characters are shown escaped, and no more
    /// than the first 80 characters.
    pub fn new(what: &'static str, given: &str, reason: impl Into<String>) -> Self {
        let given = given.chars().take(80).flat_map(char::escape_debug).collect();
        Self { what, given, reason: reason.into() }
    }
}
