//! What registries answer: bodies of bounded size, and refusals with their reasons.

use std::io::{self, Read};
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde::Deserialize;
use ureq::http::StatusCode;

use crate::connections::{Answer, explain};
use crate::error::{Error, ErrorKind, Result, shown};
use crate::url::Origin;

/// The longest explanation that is read, in bytes.
const LONGEST_REASON: u64 = 64 * 1024;

/// A header's value, if it is there and plain text.
pub(crate) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok())
}

/// The body as a stream. Its errors are for [`of_body`].
pub(crate) fn stream(answer: Answer) -> impl Read + Send {
    answer.into_body().into_with_config().limit(u64::MAX).reader()
}

/// The whole body, if it is no longer than `limit`.
pub(crate) fn whole(origin: &Origin, answer: Answer, limit: u64) -> Result<Vec<u8>> {
    let large = || Error::new(ErrorKind::TooLarge, format!("{origin}: more than {limit} bytes"));
    if answer.body().content_length().is_some_and(|length| length > limit) {
        return Err(large());
    }
    let mut bytes = Vec::new();
    stream(answer).take(limit + 1).read_to_end(&mut bytes).map_err(|e| of_body(origin, e))?;
    if bytes.len() as u64 > limit { Err(large()) } else { Ok(bytes) }
}

/// What it means that reading a body failed.
pub(crate) fn of_body(origin: &Origin, error: io::Error) -> Error {
    explain(origin, ureq::Error::from(error))
}

/// The errors of a registry
/// ([distribution-spec](https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes)).
#[derive(Deserialize)]
struct Reasons {
    #[serde(default)]
    errors: Vec<Reason>,
    /// What token services have in place of that.
    details: Option<String>,
}

#[derive(Deserialize)]
struct Reason {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The answer, if it is one of `expected`; else an error with the registry's own words.
pub(crate) fn expect(origin: &Origin, answer: Answer, expected: &[u16]) -> Result<Answer> {
    if expected.contains(&answer.status().as_u16()) {
        return Ok(answer);
    }
    Err(refusal(origin, answer))
}

/// The error that an answer is.
pub(crate) fn refusal(origin: &Origin, answer: Answer) -> Error {
    let status = answer.status();
    let kind = match status {
        StatusCode::UNAUTHORIZED => ErrorKind::Unauthorized,
        StatusCode::FORBIDDEN => ErrorKind::Forbidden,
        StatusCode::NOT_FOUND => ErrorKind::NotFound,
        StatusCode::TOO_MANY_REQUESTS => ErrorKind::TooManyRequests,
        status if status.is_server_error() => ErrorKind::Server,
        _ => ErrorKind::Protocol,
    };
    let pause = retry_after(&answer);
    let mut text = Vec::new();
    // Without reasons the status says enough.
    let _ = stream(answer).take(LONGEST_REASON).read_to_end(&mut text);
    let reason = match serde_json::from_slice::<Reasons>(&text) {
        Ok(reasons) => reasons.words(),
        Err(_) => String::new(),
    };
    let reason = if reason.is_empty() {
        status.canonical_reason().unwrap_or("no reason given").to_lowercase()
    } else {
        reason
    };
    let asks = pause.filter(|pause| !pause.is_zero());
    let asks = asks.map_or(String::new(), |it| format!(" (it asks to wait {} s)", it.as_secs()));
    Error::new(kind, format!("{origin} answers {}: {reason}{asks}", status.as_u16())).after(pause)
}

/// How long `Retry-After` asks to wait: in seconds, or until a date, which counts from the answer's own
/// ([RFC 9110, 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)). So no clock of ours need be right.
fn retry_after(answer: &Answer) -> Option<Duration> {
    let after = header(answer, "retry-after")?.trim();
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text| DateTimeParser::new().parse_timestamp(text).ok();
    let then = date(after)?;
    let now = header(answer, "date").and_then(date).unwrap_or_else(Timestamp::now);
    // A date that has passed asks for no pause.
    Some(Duration::try_from(then.duration_since(now)).unwrap_or_default())
}

impl Reasons {
    fn words(self) -> String {
        let reasons = self.errors.iter().take(3).map(|reason| {
            let words = if reason.message.is_empty() { &reason.code } else { &reason.message };
            shown(words)
        });
        let mut reasons: Vec<String> = reasons.collect();
        reasons.extend(self.details.as_deref().map(shown));
        reasons.retain(|words| !words.is_empty());
        reasons.join("; ")
    }
}
