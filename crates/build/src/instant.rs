//! When an image says that it was made.

use jiff::Timestamp;

use crate::error::{Error, Kind, Result};

/// Reads the value of `SOURCE_DATE_EPOCH`, seconds since 1970
/// ([specification](https://reproducible-builds.org/specs/source-date-epoch/)).
///
/// # Errors
/// [`Kind::Invalid`] for what is no number of seconds.
pub fn source_date_epoch(text: &str) -> Result<Timestamp> {
    let time = text.parse().ok().filter(|seconds| *seconds >= 0);
    time.and_then(|seconds| Timestamp::from_second(seconds).ok()).ok_or_else(|| {
        let message = format!("SOURCE_DATE_EPOCH={text}: seconds since 1970 are needed");
        Error::new(Kind::Invalid, message)
    })
}
